"""Retries of tasks: which retrier decides, and how long to wait."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.workflows.failures import TASK_FAILED, TASK_LOST, TIMED_OUT
from pagemill.workflows.retries import DEFAULT_RETRY, LONGEST_DELAY, Retrier, next_attempt


def delay_of(retry: Sequence[Retrier], error: str | None, used: int) -> float | None:
    """The seconds before the next attempt when each retrier was used so often."""
    attempt = next_attempt(retry, error, [used] * len(retry), random.Random)
    return None if attempt is None else attempt.delay


def retrier(*errors: str, **members: Any) -> Retrier:
    return Retrier(error_equals=list(errors) or ["States.ALL"], **members)


@pytest.mark.parametrize(
    ("names", "error", "matches"),
    [
        (["States.ALL"], "Anything", True),
        (["States.ALL"], TIMED_OUT, True),
        ([TASK_FAILED], "Anything", True),
        ([TASK_FAILED], TIMED_OUT, False),
        ([TIMED_OUT], TIMED_OUT, True),
        (["Mine", "Yours"], "Yours", True),
        (["Mine"], "mine", False),
        (["Mine"], None, True),
    ],
)
def test_errors_that_a_retrier_is_for(names: list[str], error: str | None, matches: bool) -> None:
    assert retrier(*names).matches(error) is matches


@pytest.mark.parametrize(
    ("members", "delays"),
    [
        ({}, [1, 2, 4, 8]),
        ({"interval_seconds": 10, "backoff_rate": 1.0}, [10, 10, 10, 10]),
        ({"interval_seconds": 5, "backoff_rate": 3.0}, [5, 15, 45, 135]),
        ({"interval_seconds": 5, "backoff_rate": 3.0, "max_delay_seconds": 20}, [5, 15, 20, 20]),
        ({"interval_seconds": 60, "max_delay_seconds": 30}, [30, 30, 30, 30]),
    ],
)
def test_delays_grow_up_to_their_bound(members: dict[str, Any], delays: list[float]) -> None:
    assert [retrier(**members).delay(attempt) for attempt in (1, 2, 3, 4)] == delays


@given(
    attempt=st.integers(min_value=1, max_value=10**6),
    interval=st.integers(min_value=1, max_value=86_400),
    rate=st.floats(min_value=1, max_value=1000),
)
def test_no_delay_is_longer_than_a_day(attempt: int, interval: int, rate: float) -> None:
    delay = retrier(interval_seconds=interval, backoff_rate=rate).delay(attempt)
    assert interval <= delay <= LONGEST_DELAY


def test_the_first_retrier_that_matches_decides() -> None:
    retry = [retrier("Mine", max_attempts=1, interval_seconds=7), retrier(max_attempts=9, interval_seconds=2)]
    assert delay_of(retry, "Mine", 0) == 7
    assert delay_of(retry, "Mine", 1) is None
    assert delay_of(retry, "Yours", 0) == 2


def test_attempts_are_bounded() -> None:
    assert [delay_of([retrier(max_attempts=2)], "E", used) for used in (0, 1, 2)] == [1, 2, None]
    assert delay_of([retrier(max_attempts=0)], "E", 0) is None


def test_an_empty_list_retries_nothing() -> None:
    assert delay_of([], TIMED_OUT, 0) is None


@pytest.mark.parametrize(
    ("error", "is_retried"), [(TIMED_OUT, True), (TASK_LOST, True), (TASK_FAILED, False), (None, True)]
)
def test_without_a_list_only_lost_and_late_tasks_are_retried(error: str | None, is_retried: bool) -> None:
    assert (delay_of(DEFAULT_RETRY, error, 0) is not None) is is_retried
    assert delay_of(DEFAULT_RETRY, error, DEFAULT_RETRY[0].max_attempts) is None


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"ErrorEquals": []},
        {"ErrorEquals": ["E"], "IntervalSeconds": 0},
        {"ErrorEquals": ["E"], "MaxAttempts": -1},
        {"ErrorEquals": ["E"], "BackoffRate": 0.5},
        {"ErrorEquals": ["E"], "MaxDelaySeconds": 86_401},
        {"ErrorEquals": ["E"], "Unknown": 1},
    ],
)
def test_a_wrong_retrier_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Retrier)


def test_a_retrier_is_read_with_the_names_of_the_language() -> None:
    raw = {"ErrorEquals": ["E"], "IntervalSeconds": 3, "MaxAttempts": 4, "BackoffRate": 1.5}
    assert msgspec.convert(raw, Retrier) == retrier("E", interval_seconds=3, max_attempts=4, backoff_rate=1.5)
