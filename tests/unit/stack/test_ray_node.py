"""Ray on one node: it starts, stops with all that it started, and leaves when its machine is taken away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from pagemill.cli import main
from pagemill.stack import ray_node
from pagemill.stack.directory import StackError
from pagemill.stack.ray_node import (
    NodeDirectory,
    RayNode,
    spot_notice,
    start_node,
    stop_node,
    watcher_command,
)
from pagemill.stack.restarts import RestartPolicy
from tests.support.instance_metadata import NOTICE, Metadata

DEADLINE = 60.0
QUICK = RestartPolicy(first_delay=0.01, longest_delay=0.05)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[NodeDirectory]:
    directory = NodeDirectory(tmp_path / "node")
    yield directory
    stop_node(directory, 0)


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def of_session(session: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def test_it_is_there_when_the_start_returns_and_all_of_it_ends(directory: NodeDirectory) -> None:
    # As Ray's workers may, a process of it ignores the request to end.
    start_node(directory, shell("(trap '' TERM; sleep 600) & echo Ray runtime started.; wait"))
    state = directory.read()
    assert state is not None
    until(lambda: len(of_session(state.process_id)) >= 2)

    assert stop_node(directory, 5)
    assert of_session(state.process_id) == []
    assert not stop_node(directory)


@pytest.mark.parametrize(
    "script",
    ["echo no such option; exit 2", "echo no such option; echo 'Ray ended (exit status 2)'; exec sleep 600"],
    ids=["once", "tried again"],
)
def test_a_start_that_fails_says_why(directory: NodeDirectory, script: str) -> None:
    with pytest.raises(StackError, match="no such option"):
        start_node(directory, shell(script))
    assert directory.read() is None


def test_a_start_that_hangs_is_ended(directory: NodeDirectory, tmp_path: Path) -> None:
    file = tmp_path / "process"
    with pytest.raises(StackError, match="did not start"):
        start_node(directory, shell(f"echo $$ > {file}; exec sleep 600"), seconds=1)
    assert of_session(int(file.read_text())) == []


def test_the_former_one_is_stopped_first(directory: NodeDirectory) -> None:
    start_node(directory, shell("echo Ray runtime started.; exec sleep 600"))
    first = directory.read()
    start_node(directory, shell("echo Ray runtime started.; exec sleep 600"))
    second = directory.read()
    assert first is not None
    assert second is not None
    assert of_session(first.process_id) == []
    assert of_session(second.process_id) != []


def test_another_process_with_the_number_is_left_alone(directory: NodeDirectory) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        directory.write(other.pid)
        written = directory.path / "node.json"
        written.write_text(written.read_text().replace('"created":', '"created":1'))
        assert not stop_node(directory, 0)
        assert other.poll() is None
        other.kill()


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    # What the environment of a node may name must not be asked.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Metadata() as service:
        yield service


def test_a_notice_is_read_and_its_absence(metadata: Metadata) -> None:
    assert spot_notice(metadata.url) is None
    metadata.announced = NOTICE
    assert spot_notice(metadata.url) == NOTICE
    assert spot_notice("http://127.0.0.1:9") is None


def watched(script: str, said: list[str], *, notices: str | None = None, restarts: bool = False) -> RayNode:
    return RayNode(
        ["--address=head"],
        notices=notices,
        restarts=restarts,
        say=said.append,
        program=shell(script),
        policy=QUICK,
    )


async def test_ray_is_asked_to_drain_when_the_machine_is_taken_away(
    metadata: Metadata, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ray_node, "NOTICE_SECONDS", 0.05)
    said: list[str] = []
    up = tmp_path / "up"
    # It ends by itself when asked, with a status of its own; as a head it would not start again.
    script = f"trap 'exit 7' TERM; touch {up}; while :; do sleep 0.05; done"
    node = watched(script, said, notices=metadata.url, restarts=True)
    running = asyncio.create_task(node.run())
    await asyncio.to_thread(until, up.exists)
    assert not running.done()

    metadata.announced = NOTICE
    assert await asyncio.wait_for(running, DEADLINE) == 7
    assert said == [f"the machine will be taken away ({NOTICE}): Ray drains this node"]


async def test_it_is_started_again_only_if_it_should_be(tmp_path: Path) -> None:
    said: list[str] = []
    assert await watched("exit 3", said).run() == 3
    assert said == []

    runs = tmp_path / "runs"
    # The third run stays, until this process is told to end.
    script = f"echo run >> {runs}; test $(wc -l < {runs}) -lt 3 && exit 1; kill -TERM $PPID; sleep 600"
    assert await watched(script, said, restarts=True).run() == -signal.SIGTERM
    assert len(runs.read_text().splitlines()) == 3
    assert said[-1] == "asked to end: Ray drains this node"
    assert [line for line in said if line.startswith("Ray ended (exit status 1), again in")] == said[:-1]


def test_the_command_line_passes_everything_on() -> None:
    command = watcher_command(["--head", "--port=1"], notices="http://metadata", restarts=True)
    assert command[1:] == [
        *("-P", "-m", "pagemill.cli", "node", "run"),
        *("--restart", "--spot-notices=http://metadata", "--", "--head", "--port=1"),
    ]
    assert command[0] == sys.executable
    assert watcher_command([], notices=None, restarts=False)[-2:] == ["run", "--"]


def test_stopping_what_was_never_started(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["node", "stop", "--directory", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, "nothing was running\n")
