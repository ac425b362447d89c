"""Retries and catches of states that have not succeeded."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from pagemill.workflows.failures import TASK_LOST, TIMED_OUT, stands_for

LONGEST_DELAY = 86_400.0

Errors: TypeAlias = Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(min_length=1, max_length=50)]


class Retrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", kw_only=True):
    """An entry of a state's ``Retry``."""

    error_equals: Errors
    interval_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 1
    max_attempts: Annotated[int, Meta(ge=0, le=1000)] = 3
    backoff_rate: Annotated[float, Meta(ge=1, le=1000)] = 2.0
    max_delay_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    jitter_strategy: Literal["FULL", "NONE"] = "NONE"
    comment: str = ""

    def matches(self, error: str | None, *, of_branch: bool = False) -> bool:
        """Return whether it applies to an error; a retry that the worker asks for (None) matches any."""
        return error is None or any(
            stands_for(name, error, of_branch=of_branch) for name in self.error_equals
        )

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt; 1 is the first."""
        grown = self.interval_seconds * self.backoff_rate ** min(attempt - 1, 64)
        return min(grown, self.max_delay_seconds or LONGEST_DELAY, LONGEST_DELAY)


class Catcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", kw_only=True):
    """An entry of a state's ``Catch``."""

    error_equals: Errors
    next: Annotated[str, Meta(min_length=1)]
    result_path: str | None = "$"
    comment: str = ""

    def matches(self, error: str, *, of_branch: bool) -> bool:
        """Return whether it is for an error."""
        return any(stands_for(name, error, of_branch=of_branch) for name in self.error_equals)


class NextAttempt(NamedTuple):
    """Another attempt: the entry of Retry that allows it, and the seconds to wait before."""

    retrier: int
    delay: float


DEFAULT_RETRY: tuple[Retrier, ...] = (
    Retrier(error_equals=[TIMED_OUT, TASK_LOST], interval_seconds=2, max_attempts=3, backoff_rate=2.0),
)
"""Retry of a task that has none. A failure that the task itself reports is not tried again."""


def next_attempt(
    retry: Sequence[Retrier],
    error: str | None,
    used: Sequence[int],
    draw: Callable[[], random.Random],
    *,
    of_branch: bool = False,
) -> NextAttempt | None:
    """Return the next attempt, or None when there is none. The first retrier that matches decides.

    ``error`` is None when the worker itself asks for a retry; ``used`` says how often each retrier was used.
    """
    for position, retrier in enumerate(retry):
        if retrier.matches(error, of_branch=of_branch):
            before = used[position] if position < len(used) else 0
            if before >= retrier.max_attempts:
                return None
            delay = retrier.delay(before + 1)
            return NextAttempt(
                position, draw().uniform(0, delay) if retrier.jitter_strategy == "FULL" else delay
            )
    return None
