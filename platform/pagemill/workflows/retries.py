"""Retries of tasks that have not succeeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

TASK_FAILED: Final = "States.TaskFailed"
TIMED_OUT: Final = "States.Timeout"
TASK_LOST: Final = "Pagemill.TaskLost"
"""Error of a task whose worker was lost, which is not the task's fault."""
LONGEST_DELAY = 86_400.0


class Retrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", kw_only=True):
    """An entry of a task's ``Retry``."""

    error_equals: Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(min_length=1, max_length=50)]
    interval_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 1
    max_attempts: Annotated[int, Meta(ge=0, le=1000)] = 3
    backoff_rate: Annotated[float, Meta(ge=1, le=1000)] = 2.0
    max_delay_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    jitter_strategy: Any = None
    comment: str = ""

    def matches(self, error: str | None) -> bool:
        """Return whether it applies to an error; a retry that the worker asks for (None) matches any."""
        return error is None or any(_stands_for(name, error) for name in self.error_equals)

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt; 1 is the first."""
        grown = self.interval_seconds * self.backoff_rate ** min(attempt - 1, 64)
        return min(grown, self.max_delay_seconds or LONGEST_DELAY, LONGEST_DELAY)


DEFAULT_RETRY: tuple[Retrier, ...] = (
    Retrier(error_equals=[TIMED_OUT, TASK_LOST], interval_seconds=2, max_attempts=3, backoff_rate=2.0),
)
"""Retry of a task that has none. A failure that the task itself reports is not tried again."""


def retry_delay(retry: Sequence[Retrier] | None, error: str | None, attempt: int) -> float | None:
    """Return the seconds to wait before a task is run again, or None when it is not.

    ``error`` is None when the worker itself asks for a retry. The first retrier that matches decides.
    """
    for retrier in DEFAULT_RETRY if retry is None else retry:
        if retrier.matches(error):
            return retrier.delay(attempt) if attempt <= retrier.max_attempts else None
    return None


def _stands_for(name: str, error: str) -> bool:
    return name in (error, "States.ALL") or (name == TASK_FAILED and error != TIMED_OUT)
