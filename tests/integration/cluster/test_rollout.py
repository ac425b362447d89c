"""Releases of small applications on a Ray of their own: kept, rolled, refused, and tried again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pagemill.settings import Settings, to_environment
from tests.support.ray_cluster import NAMESPACE, local_ray

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]

SETTINGS = Settings(database_url="postgresql://unused", objects_url="file:///unused", ray_namespace=NAMESPACE)
NAME = "answering"


class Placeholder:
    """Actor that takes what other work takes of a node."""

    def ping(self) -> None:
        """Answer when it has its place."""


@pytest.fixture(scope="module")
def needed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "weights"


@pytest.fixture(scope="module")
def cluster(needed: Path) -> Iterator[None]:
    more = {"TEST_NEEDED_FILE": str(needed), "TEST_REPLICA_CPUS": "0.6", "SERVE_SLOW_STARTUP_WARNING_S": "1"}
    with local_ray(to_environment(SETTINGS) | more, cpus=2):
        yield


def roll_out(release: str, *names: str, surge_seconds: float = 60.0) -> dict[str, str]:
    from pagemill.cluster.rollout import roll_out
    from tests.support.served import served

    return roll_out(SETTINGS, release, [served(name) for name in names], surge_seconds=surge_seconds)


def call_until(stop: Path, name: str = NAME) -> Any:
    """Begin to call an application; return the answers to come, after the first one."""
    from tests.support.served import call_until

    begun = stop.with_name(f"{stop.name}-{name}-begun")
    calls = call_until.remote(stop, begun, name)
    deadline = time.monotonic() + 60.0
    while not begun.exists():
        assert time.monotonic() < deadline, "no answer"
        time.sleep(0.05)
    return calls


@pytest.mark.usefixtures("cluster")
def test_releases(tmp_path: Path, needed: Path) -> None:
    import ray

    # One application has a fault: the other runs.
    failures = roll_out("1", NAME, "needing")
    assert failures.keys() == {"needing"}
    assert str(needed) in failures["needing"]

    # The same release: the replica stays. What had failed is tried again, and starts: its fault is mended.
    stop = tmp_path / "stop"
    calls = call_until(stop)
    needed.touch()
    assert roll_out("1", NAME, "needing") == {}
    assert roll_out("1", NAME, "needing") == {}
    stop.touch()
    before = ray.get(calls, timeout=60.0)
    assert len(set(before)) == 1

    # A new release, without room beside the old one: no call fails, and all end at the new one.
    again = tmp_path / "again"
    calls = call_until(again)
    others = ray.remote(num_cpus=0.8)(Placeholder).remote()
    ray.get(others.ping.remote(), timeout=60.0)
    assert roll_out("2", NAME, "needing", surge_seconds=2.0) == {}
    again.touch()
    answers = ray.get(calls, timeout=60.0)
    assert [release for release, _ in dict.fromkeys(answers)] == ["1", "2"]
    assert answers[0] == before[0]

    # A release that does not start leaves the old one at work.
    ray.kill(others)
    needed.unlink()
    assert roll_out("3", NAME, "needing").keys() == {"needing"}
    assert ray.get(call_until(again, "needing"), timeout=60.0)[0][0] == "2"
