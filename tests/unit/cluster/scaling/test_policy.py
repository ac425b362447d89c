"""The policy that Serve's controller calls neither waits nor raises, whatever the database does."""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Callable, Iterator

import pytest
from ray import cloudpickle

from benchmarks.rehearsal_policies import Context, RaisingSource, block, fail, hang
from pagemill.cluster.scaling.asking import BacklogWatch
from pagemill.cluster.scaling.configuration import POLICY, prediction_autoscaling, reading_autoscaling
from pagemill.cluster.scaling.figures import Backlog
from pagemill.cluster.scaling.policy import BacklogPolicy, BacklogSource
from pagemill.settings import Settings
from tests.unit.cluster.scaling.sources import GivenBacklog

SECRET_URL = "postgresql://someone:hidden@127.0.0.1:1/pagemill"


def policy_on(source: BacklogSource) -> BacklogPolicy:
    return BacklogPolicy(
        application="reading",
        places=2,
        seconds_per_page=2.0,
        start=10.0,
        down_delay=120.0,
        source=source,
    )


@pytest.fixture
def serve_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of Serve, which does not pass it on."""
    logger = logging.getLogger("ray.serve")
    logger.addHandler(caplog.handler)
    level, logger.level = logger.level, logging.INFO
    yield caplog
    logger.level = level
    logger.removeHandler(caplog.handler)


def test_it_follows_the_backlog_and_says_why(serve_log: pytest.LogCaptureFixture) -> None:
    policy = policy_on(GivenBacklog(Backlog(taken=time.monotonic(), interactive=400.0)))
    context = Context(total_num_requests=0.0)

    context.target_num_replicas, kept = policy(context)
    policy(context)

    assert (context.target_num_replicas > 5, kept) == (True, {})
    [line] = [record.getMessage() for record in serve_log.records]
    assert line.startswith(
        f"scaling: reading goes from 1 to {context.target_num_replicas} replicas: 400 pages"
    )


def test_a_change_that_serve_follows_slowly_is_logged_once(serve_log: pytest.LogCaptureFixture) -> None:
    policy = policy_on(GivenBacklog())
    for _ in range(50):
        policy(Context(total_num_requests=8.0))
    policy(Context(target_num_replicas=4, total_num_requests=8.0))
    policy(Context(target_num_replicas=4, total_num_requests=12.0))

    told = [record.getMessage().partition(" replicas")[0] for record in serve_log.records]
    assert told == ["scaling: reading goes from 1 to 4", "scaling: reading goes from 4 to 6"]


def test_limits_are_those_that_serve_has_now() -> None:
    policy = policy_on(GivenBacklog(Backlog(taken=time.monotonic(), interactive=1e6)))

    assert policy(Context(capacity_adjusted_max_replicas=3))[0] == 3
    assert policy(Context(capacity_adjusted_max_replicas=7))[0] == 7


@pytest.mark.parametrize("connection", [hang, block, fail])
def test_a_database_that_fails_leaves_serves_formula(connection: Callable[[], object]) -> None:
    policy = policy_on(BacklogWatch(connection))  # type: ignore[arg-type]
    context = Context(total_num_requests=8.0)
    longest = 0.0
    for _ in range(50):
        begun = time.thread_time()
        context.target_num_replicas, _ = policy(context)
        longest = max(longest, time.thread_time() - begun)

    assert context.target_num_replicas == 4
    assert longest < 0.01


def test_a_fault_keeps_the_replicas_and_is_logged_once(serve_log: pytest.LogCaptureFixture) -> None:
    policy = policy_on(RaisingSource())

    assert [policy(Context(target_num_replicas=5))[0] for _ in range(20)] == [5] * 20
    assert [record.getMessage() for record in serve_log.records] == [
        "scaling: reading keeps its replicas: no decision"
    ]


def test_without_an_address_serves_formula_decides(
    monkeypatch: pytest.MonkeyPatch, serve_log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("PAGEMILL_DATABASE_URL", raising=False)
    policy = BacklogPolicy(
        application="reading", places=2, seconds_per_page=2.0, start=10.0, down_delay=120.0
    )

    assert policy(Context(total_num_requests=8.0))[0] == 4
    assert "the database is not asked" in serve_log.text


def test_a_policy_that_is_replaced_asks_no_more() -> None:
    source = GivenBacklog()
    policy = policy_on(source)
    del policy
    gc.collect()

    assert source.is_closed


@pytest.fixture
def settings() -> Settings:
    return Settings(
        database_url=SECRET_URL,
        objects_url="file:///unused",
        reading_replicas_max=12,
        prediction_replicas_min=0,
        replicas_down_delay=60.0,
    )


def test_limits_come_from_the_settings(settings: Settings) -> None:
    reading, prediction = reading_autoscaling(settings), prediction_autoscaling(settings)

    assert (reading.min_replicas, reading.max_replicas) == (1, 12)
    assert (prediction.min_replicas, prediction.max_replicas) == (0, 2)
    assert {one.policy.policy_kwargs["application"] for one in (reading, prediction)} == {
        "reading",
        "prediction",
    }
    assert reading.policy.policy_kwargs["down_delay"] == 60.0


@pytest.mark.parametrize(("least", "most", "expected"), [(1, 0, (1, 1)), (5, 2, (2, 2)), (0, 0, (0, 1))])
def test_limits_that_contradict_each_other_are_mended(
    least: int, most: int, expected: tuple[int, int]
) -> None:
    settings = Settings(
        database_url=SECRET_URL,
        objects_url="file:///unused",
        reading_replicas_min=least,
        reading_replicas_max=most,
    )
    reading = reading_autoscaling(settings)

    assert (reading.min_replicas, reading.max_replicas) == expected


def test_serve_is_not_told_the_address(settings: Settings) -> None:
    policy = reading_autoscaling(settings).policy

    assert policy.policy_function == POLICY
    assert "hidden" not in json.dumps(policy.policy_kwargs)
    assert b"hidden" not in policy.get_serialized_policy_def()


def test_the_controller_makes_a_policy_of_what_it_is_sent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGEMILL_DATABASE_URL", raising=False)
    policy = reading_autoscaling(settings).policy
    made = cloudpickle.loads(policy.get_serialized_policy_def())(**policy.policy_kwargs)

    assert made(Context(total_num_requests=8.0))[0] == 4
