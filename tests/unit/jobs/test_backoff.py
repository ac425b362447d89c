"""The decision after a failed attempt, without a clock, a database or chance."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import BadRequest, DocumentUnreadable, LimitExceeded, NotFound, Unavailable
from pagemill.jobs.backoff import (
    LONGEST_SECONDS,
    MAXIMUM_LOST_WORKERS,
    PATIENCE_ATTEMPTS,
    Retry,
    decide,
    delay_after,
)
from pagemill.jobs.job import Job, JobCancelled, TryAgain, WorkerLost


def a_job(attempt: int, maximum_attempts: int, *, lost_workers: int = 0) -> Job:
    return Job("job", "prediction", "organization", "subject", {}, attempt, maximum_attempts, lost_workers)


@pytest.mark.parametrize(
    "error",
    [BadRequest("no"), DocumentUnreadable("no"), LimitExceeded(), NotFound("no"), JobCancelled("no")],
    ids=lambda error: type(error).__name__,
)
def test_a_final_error_fails_at_once(error: Exception) -> None:
    assert decide(error, a_job(1, 5), chance=0.0) == "fail"


@pytest.mark.parametrize(
    "error",
    [RuntimeError("odd"), asyncio.CancelledError(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_are_retried_until_the_maximum(error: BaseException) -> None:
    decisions = [decide(error, a_job(attempt, 3), chance=0.0) for attempt in (1, 2, 3)]
    assert decisions == [Retry(0.5, counts=True), Retry(1.5, counts=True), "fail"]


def test_a_job_that_loses_one_worker_after_the_other_is_given_no_more() -> None:
    gone = WorkerLost("gone")
    decisions = [
        decide(gone, a_job(lost + 1, 99, lost_workers=lost), chance=0.0)
        for lost in range(MAXIMUM_LOST_WORKERS)
    ]
    assert decisions == [Retry(0.5, counts=True), "fail"]
    assert decide(gone, a_job(3, 3), chance=0.0) == "fail"


def test_lost_workers_do_not_make_other_errors_final() -> None:
    assert decide(RuntimeError("odd"), a_job(3, 5, lost_workers=1), chance=0.0) == Retry(4.5, counts=True)


def test_a_runner_may_know_better_when_to_try_again() -> None:
    later = pickle.loads(pickle.dumps(TryAgain("later", delay=7200.0)))
    assert (later.message, later.delay) == ("later", 7200.0)
    assert decide(later, a_job(1, 3), chance=0.9) == Retry(7200.0, counts=True)
    assert decide(later, a_job(3, 3), chance=0.9) == "fail"


def test_an_outage_does_not_use_up_attempts_but_patience() -> None:
    away = Unavailable("Storage is away")
    assert decide(away, a_job(7, 3), chance=0.0) == Retry(LONGEST_SECONDS / 2, counts=False)
    assert decide(away, a_job(PATIENCE_ATTEMPTS, PATIENCE_ATTEMPTS + 1), chance=0.0) == "fail"


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_delays_are_bounded(attempt: int, chance: float) -> None:
    assert 0.5 <= delay_after(attempt, chance) <= LONGEST_SECONDS


def test_an_outage_is_waited_out_for_about_half_an_hour() -> None:
    waited = sum(delay_after(attempt, 0.5) for attempt in range(1, PATIENCE_ATTEMPTS))
    assert 1500 < waited < 2100


@given(attempt=st.integers(1, 3))
def test_delays_grow_for_every_chance(attempt: int) -> None:
    assert delay_after(attempt, 0.999) < delay_after(attempt + 1, 0.0)
