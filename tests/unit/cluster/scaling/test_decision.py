"""Replicas come at once and go slowly, whatever the figures look like."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest

from pagemill.cluster.scaling.decision import (
    FIGURES_SECONDS,
    HOLD_SECONDS,
    LATE_SECONDS,
    Decision,
    ScalingState,
    decide,
)
from pagemill.cluster.scaling.figures import Backlog, Figures, Limits

LIMITS = Limits(minimum=1, maximum=20, places=2, seconds_per_page=2.0, start=10.0, down_delay=120.0)
"""A replica reads one page a second."""


def figures(
    now: float = 0.0,
    *,
    replicas: int = 1,
    running: int | None = None,
    ongoing: float = 0.0,
    measured: float | None = None,
    age: float = 0.0,
    **backlog: float,
) -> Figures:
    """Figures with all ordered replicas there, unless said otherwise."""
    return Figures(
        backlog=Backlog(taken=now - age, **backlog),
        running=replicas if running is None else running,
        target=replicas,
        ongoing=ongoing,
        seconds_per_page=measured,
    )


def no_figures(*, replicas: int, ongoing: float = 0.0) -> Figures:
    return Figures(backlog=None, running=replicas, target=replicas, ongoing=ongoing)


def first(given: Figures, limits: Limits = LIMITS) -> Decision:
    return decide(ScalingState(), given, limits, 0.0)


class Replicas:
    """Replicas that start at once; one call of ``at`` is one decision."""

    def __init__(self, replicas: int, limits: Limits = LIMITS) -> None:
        self.replicas, self.limits, self.state = replicas, limits, ScalingState()

    def at(self, now: float, **given: float) -> int:
        return self.follow(figures(now, replicas=self.replicas, **given), now)  # type: ignore[arg-type]

    def without_figures(self, now: float, ongoing: float = 0.0) -> int:
        return self.follow(no_figures(replicas=self.replicas, ongoing=ongoing), now)

    def follow(self, given: Figures, now: float) -> int:
        decision = decide(self.state, given, self.limits, now)
        self.replicas, self.state = decision.replicas, decision.state
        return self.replicas


def test_what_is_done_before_a_replica_starts_orders_none() -> None:
    assert first(figures(interactive=9.0)).replicas == 1
    assert first(figures(interactive=12.0)).replicas > 1


@pytest.mark.parametrize("pages", [50.0, 400.0, 3_000.0, 100_000.0])
def test_a_backlog_ends_hardly_later_than_with_the_maximum(pages: float) -> None:
    replicas = first(figures(batch=pages)).replicas

    def seconds(number: int) -> float:
        return LIMITS.start + (pages - LIMITS.start) / number

    assert seconds(replicas) <= 1.1 * seconds(LIMITS.maximum)
    assert replicas == 1 or seconds(replicas - 1) > 1.1 * seconds(LIMITS.maximum)


def test_interactive_pages_get_more_replicas_than_others() -> None:
    assert first(figures(interactive=400.0)).replicas > first(figures(batch=400.0)).replicas


def test_pages_that_are_worked_on_count() -> None:
    assert first(figures(running=1, batch=0.0, ongoing=0.0)).replicas == 1
    given = dataclasses.replace(figures(), backlog=Backlog(taken=0.0, running=400.0))
    assert first(given).replicas == first(figures(interactive=400.0)).replicas


def test_slow_pages_get_more_replicas() -> None:
    slow = first(figures(batch=100.0, measured=8.0)).replicas
    fast = first(figures(batch=100.0, measured=0.2)).replicas

    assert fast == 1
    assert slow > first(figures(batch=100.0)).replicas > fast


def test_a_single_measurement_does_not_decide() -> None:
    state = first(figures(measured=1.0)).state
    now = 2.0
    once = decide(state, figures(now, measured=11.0), LIMITS, now).state
    twice = decide(once, figures(now, measured=11.0), LIMITS, now).state

    assert once.seconds_per_page == pytest.approx(4.0)
    assert twice.seconds_per_page == once.seconds_per_page, "an answer counts once, however often it is seen"


@pytest.mark.parametrize(("minimum", "pages", "expected"), [(0, 1.0, 1), (0, 0.0, 0), (3, 0.0, 3)])
def test_the_first_page_starts_the_first_replica(minimum: int, pages: float, expected: int) -> None:
    limits = dataclasses.replace(LIMITS, minimum=minimum)

    assert first(figures(replicas=minimum, interactive=pages), limits).replicas == expected


@pytest.mark.parametrize("maximum", [1, 2, 20])
def test_the_maximum_is_kept(maximum: int) -> None:
    limits = dataclasses.replace(LIMITS, maximum=maximum)

    assert first(figures(interactive=1e9), limits).replicas == maximum
    assert first(figures(replicas=30, interactive=1e9), limits).replicas == maximum


def test_requests_of_other_jobs_count_as_serve_counts_them() -> None:
    """Data bundles run a long time, and say only what they request now."""
    assert first(figures(ongoing=12.0)).replicas == 6


def test_replicas_go_when_fewer_have_been_enough_for_the_delay() -> None:
    replicas = Replicas(1)
    assert replicas.at(0.0, batch=3_000.0) > 10
    most = replicas.replicas

    seen = [replicas.at(float(now)) for now in range(1, 122)]

    assert seen[:119] == [most] * 119
    assert seen[-1] == 1


def test_they_go_only_as_far_as_the_highest_need_of_the_delay() -> None:
    replicas = Replicas(20)
    for now in range(0, 130, 2):
        replicas.at(float(now), ongoing=16.0 if now == 60 else 4.0)

    assert replicas.replicas == 10


def test_few_more_than_needed_are_kept() -> None:
    replicas = Replicas(20)
    for now in range(300):
        replicas.at(float(now), ongoing=28.0)

    assert replicas.replicas == 20, "18 would be enough"


def test_steady_work_keeps_some_places_free() -> None:
    replicas = Replicas(20)
    for now in range(300):
        replicas.at(float(now), ongoing=16.0)

    assert replicas.replicas == 10


def test_from_one_to_none_only_where_the_minimum_allows_it() -> None:
    for minimum in (0, 1):
        replicas = Replicas(1, dataclasses.replace(LIMITS, minimum=minimum))
        for now in range(130):
            replicas.at(float(now))
        assert replicas.replicas == minimum


def test_bursts_within_the_delay_do_not_flap() -> None:
    replicas = Replicas(1)
    seen = [replicas.at(float(now), batch=500.0 if now % 60 < 10 else 0.0) for now in range(1_200)]

    assert seen == sorted(seen)


def test_a_queue_that_does_not_become_shorter_gets_replicas() -> None:
    """Ten replicas have 90 pages, which they would read in the time in which others start."""
    replicas = Replicas(10)
    seen = [
        replicas.follow(
            dataclasses.replace(
                figures(float(now), replicas=replicas.replicas, ongoing=90.0, interactive=0.0),
                backlog=Backlog(taken=float(now), running=90.0),
            ),
            float(now),
        )
        for now in range(12)
    ]

    assert seen[:10] == [10] * 10
    assert seen[10] == 12


def test_a_queue_that_becomes_shorter_does_not() -> None:
    replicas = Replicas(10)
    for now in range(40):
        left = 90.0 - now
        given = figures(float(now), replicas=replicas.replicas, ongoing=left)
        given = dataclasses.replace(given, backlog=Backlog(taken=float(now), running=left))
        assert replicas.follow(given, float(now)) == 10


@pytest.mark.parametrize(("oldest", "seconds"), [(0.0, 10), (LATE_SECONDS + 1.0, 5)])
def test_late_interactive_jobs_shorten_the_patience(oldest: float, seconds: int) -> None:
    replicas = Replicas(10)
    now = 0
    while replicas.replicas == 10:
        replicas.at(float(now), interactive=5.0, oldest=oldest, ongoing=20.0)
        now += 1

    assert now - 1 == seconds


def test_old_figures_are_not_used() -> None:
    at = FIGURES_SECONDS + 1.0
    old = figures(at, replicas=2, batch=5_000.0, age=at, ongoing=10.0)
    fresh = figures(at, replicas=2, batch=5_000.0, age=FIGURES_SECONDS - 1.0)

    by_serve = decide(ScalingState(), old, LIMITS, at)
    assert by_serve.replicas == 5
    assert "the database gives no figures" in by_serve.reason
    assert decide(ScalingState(), fresh, LIMITS, at).replicas > 5


def test_nothing_is_taken_away_for_lack_of_figures() -> None:
    replicas = Replicas(12)
    for now in range(round(HOLD_SECONDS)):
        assert replicas.without_figures(float(now)) == 12


def test_without_figures_more_requests_get_more_replicas() -> None:
    assert Replicas(2).without_figures(0.0, ongoing=17.0) == 9


def test_after_a_long_time_without_figures_the_cluster_shrinks() -> None:
    replicas = Replicas(12)
    for now in range(round(HOLD_SECONDS + LIMITS.down_delay) + 10):
        replicas.without_figures(float(now), ongoing=4.0)

    assert replicas.replicas == 2


def test_when_figures_come_back_the_delay_begins_anew() -> None:
    replicas = Replicas(12)
    for now in range(200):
        replicas.without_figures(float(now))
    assert [replicas.at(200.0 + now) for now in range(119)] == [12] * 119
    assert replicas.at(320.0) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (figures(), "nothing waits; 2 s a page"),
        (
            figures(interactive=380.0, batch=40.0, oldest=12.0),
            "420 pages wait, 380 of them interactive, for up to 12 s; 2 s a page",
        ),
        (figures(ongoing=12.0), "12 requests, 2 a replica; 2 s a page"),
        (no_figures(replicas=1), "the database gives no figures; 0 requests, 2 a replica; none is taken"),
    ],
)
def test_a_reason_is_in_plain_words(given: Figures, said: str) -> None:
    assert first(given).reason.startswith(said)


NONE = dataclasses.replace(LIMITS, minimum=0)


@pytest.mark.parametrize(
    ("given", "limits", "cause"),
    [
        (figures(replicas=0), NONE, "idle"),
        (figures(), LIMITS, "minimum"),
        (figures(interactive=80.0), LIMITS, "backlog"),
        (figures(interactive=380.0), LIMITS, "maximum"),
        (figures(ongoing=12.0), LIMITS, "requests"),
        (figures(interactive=1e9), LIMITS, "maximum"),
        (figures(ongoing=1e9), LIMITS, "maximum"),
        (figures(replicas=30, interactive=1.0), LIMITS, "backlog"),
        (figures(replicas=20, interactive=1.0), LIMITS, "patience"),
        (no_figures(replicas=1), LIMITS, "fallback"),
        (no_figures(replicas=0), LIMITS, "fallback"),
        (no_figures(replicas=1, ongoing=1e9), LIMITS, "maximum"),
    ],
)
def test_a_decision_has_one_cause(given: Figures, limits: Limits, cause: str) -> None:
    assert first(given, limits).cause == cause


def test_a_queue_that_does_not_become_shorter_is_a_cause() -> None:
    state = ScalingState()
    for now in range(11):
        given = dataclasses.replace(
            figures(float(now), replicas=10, ongoing=90.0), backlog=Backlog(taken=float(now), running=90.0)
        )
        decision = decide(state, given, LIMITS, float(now))
        state = decision.state
    assert decision.cause == "behind"


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_figures_the_limits_are_kept_and_the_state_stays_small(seed: int) -> None:
    generator = random.Random(seed)
    limits = dataclasses.replace(LIMITS, minimum=generator.randrange(3))
    replicas, longest = Replicas(limits.minimum, limits), 0
    for now in range(3_000):
        given = Figures(
            backlog=None
            if generator.random() < 0.1
            else Backlog(
                taken=now - generator.uniform(0.0, 20.0),
                interactive=generator.choice((0.0, 10.0 ** generator.uniform(0, 5))),
                batch=generator.choice((0.0, 10.0 ** generator.uniform(0, 5))),
                running=generator.uniform(0.0, 60.0),
                oldest=generator.uniform(0.0, 90.0),
            ),
            running=generator.randrange(25),
            target=replicas.replicas,
            ongoing=generator.uniform(0.0, 60.0),
            seconds_per_page=generator.choice((None, generator.uniform(1e-6, 100.0))),
        )
        number = replicas.follow(given, float(now))
        longest = max(longest, len(replicas.state.peaks))
        assert limits.minimum <= number <= limits.maximum
        assert math.isfinite(number)

    assert longest <= limits.maximum + 1
