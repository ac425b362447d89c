"""What follows a failed attempt is decided without a clock, a database or luck."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import BadRequest, DocumentUnreadable, LimitExceeded, NotFound, Unavailable
from pagemill.jobs.backoff import LONGEST_SECONDS, PATIENCE_ATTEMPTS, Retry, decide, delay_after
from pagemill.jobs.job import JobCancelled, WorkerLost


@pytest.mark.parametrize(
    "error",
    [BadRequest("no"), DocumentUnreadable("no"), LimitExceeded(), NotFound("no"), JobCancelled("no")],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_get_better_fails_at_once(error: Exception) -> None:
    assert decide(error, 1, 5, chance=0.0) == "fail"


@pytest.mark.parametrize(
    "error",
    [RuntimeError("odd"), WorkerLost("gone"), asyncio.CancelledError(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_what_may_get_better_is_tried_until_the_maximum(error: BaseException) -> None:
    decisions = [decide(error, attempt, 3, chance=0.0) for attempt in (1, 2, 3)]
    assert decisions == [Retry(0.5, counts=True), Retry(1.5, counts=True), "fail"]


def test_an_outage_does_not_use_up_attempts_but_patience() -> None:
    away = Unavailable("Storage is away")
    assert decide(away, 7, 3, chance=0.0) == Retry(LONGEST_SECONDS / 2, counts=False)
    assert decide(away, PATIENCE_ATTEMPTS, PATIENCE_ATTEMPTS + 1, chance=0.0) == "fail"


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_delays_are_bounded(attempt: int, chance: float) -> None:
    assert 0.5 <= delay_after(attempt, chance) <= LONGEST_SECONDS


@given(attempt=st.integers(1, 4))
def test_delays_grow_whatever_the_chance(attempt: int) -> None:
    assert delay_after(attempt, 0.999) < delay_after(attempt + 1, 0.0)
