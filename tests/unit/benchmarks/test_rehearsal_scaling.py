"""The replay of the scaling policy: what is good in it passes, what is bad is found out."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from benchmarks import rehearsal_policies
from benchmarks.rehearsal_policies import HEALTHY, RaisingSource, answer, policy_with, share_a_loop
from benchmarks.rehearsal_scaling import (
    DRAINED_WITHIN,
    FROM_ZERO,
    LIMITS,
    Policy,
    holds_bounds,
    ideal_policy,
    judge,
    pagemill_policy,
    replay,
    serve_policy,
)
from benchmarks.simulated_application import REPLICAS_OF_A_NODE, SimulatedApplication, Weather
from benchmarks.simulated_loads import Burst, Load, days, weathers
from pagemill.cluster.scaling.asking import BacklogWatch
from pagemill.cluster.scaling.figures import Limits

BURSTS = [Burst(100 + 900 * number, 5, 2_000.0, interactive=number % 2 == 0) for number in range(4)]
LOAD = Load("bursts", BURSTS, seconds=3_700)


def judged(policy: Policy, load: Load = LOAD, limits: Limits = LIMITS) -> dict[str, float]:
    return judge(replay(load, limits, policy), replay(load, limits, ideal_policy(limits)))


@pytest.mark.parametrize("limits", [LIMITS, FROM_ZERO])
@pytest.mark.parametrize(
    "trouble", [{}, {"nodes_die": True}, {"models_are_cold": True}, {"away_seconds": 200}]
)
def test_the_policy_holds_the_bounds(limits: Limits, trouble: dict[str, float]) -> None:
    load = dataclasses.replace(LOAD, **trouble)  # type: ignore[arg-type]

    row = judged(pagemill_policy(limits), load, limits)

    assert holds_bounds(row, has_bursts=True), row


def test_serves_policy_reverses_while_postgres_is_away() -> None:
    row = judged(serve_policy(LIMITS), dataclasses.replace(LOAD, away_seconds=200))

    assert row["reversalsWithoutPostgres"] > 0


def stingy(application: SimulatedApplication) -> int:
    return 3


def nervous(application: SimulatedApplication) -> int:
    return 60 - round(application.now) % 2


@pytest.mark.parametrize("policy", [stingy, nervous])
def test_a_bad_policy_is_found_out(policy: Policy) -> None:
    assert not holds_bounds(judged(policy), has_bursts=True)


def test_what_is_never_drained_is_found_out() -> None:
    row = judged(lambda application: 0, limits=FROM_ZERO)

    assert row["drained"] > DRAINED_WITHIN


def test_a_day_is_the_same_each_time() -> None:
    first, second = (
        [*weathers(load)][600:700] for load in (days(3, trickle=0.1)[0], days(3, trickle=0.1)[0])
    )

    assert first == second
    assert sum(weather.interactive + weather.batch for weather in first) > 0


def test_all_of_a_burst_arrives() -> None:
    arrived = sum(weather.interactive + weather.batch for weather in weathers(LOAD))

    assert arrived == pytest.approx(8_000.0)


def application(replicas: int) -> SimulatedApplication:
    one = SimulatedApplication(dataclasses.replace(LIMITS, minimum=replicas))
    one.tick(Weather(batch=100.0))
    return one


def test_no_page_is_lost_with_its_node() -> None:
    one = application(12)
    one.tick(Weather(node_dies=True))

    assert one.ready == 12 - REPLICAS_OF_A_NODE
    assert one.interactive + one.batch + one.in_flight + one.served == pytest.approx(100.0)
    for _ in range(200):
        one.tick(Weather())
    assert one.ready == 12
    assert one.served == pytest.approx(100.0, abs=0.1)


def test_replicas_take_their_time_to_start() -> None:
    one = application(1)
    one.order(2)
    for _ in range(9):
        one.tick(Weather())
    assert one.ready == 1
    one.tick(Weather())
    assert one.ready == 2


def test_those_that_start_are_taken_back_first() -> None:
    one = application(2)
    one.order(5)
    one.order(3)

    assert (one.ready, len(one.starting)) == (2, 1)
    one.order(1)
    assert (one.ready, len(one.starting)) == (1, 0)


def test_a_failing_policy_leaves_the_other_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal_policies, "ROUNDS", 60)
    row = asyncio.run(
        share_a_loop(policy_with(RaisingSource(), "failing"), policy_with(BacklogWatch(answer), HEALTHY))
    )

    assert row["failingReplicas"] == 1
    assert row["otherReplicas"] > 1


@pytest.mark.parametrize("broken", [{"loopP99Seconds": 0.6}, {"callP99Seconds": 0.02}, {"otherReplicas": 1}])
def test_a_loop_that_is_held_up_is_found_out(broken: dict[str, float]) -> None:
    good = {"loopP99Seconds": 0.02, "callP99Seconds": 0.001, "otherReplicas": 5}

    assert rehearsal_policies.holds_bounds(good)
    assert not rehearsal_policies.holds_bounds({**good, **broken})
