"""What follows when an attempt goes wrong: a pure decision."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from pagemill.errors import PagemillError, Unavailable
from pagemill.jobs.job import Job, TryAgain, WorkerLost

FIRST_SECONDS = 1.0
FACTOR = 3.0
LONGEST_SECONDS = 30.0
"""When a part is back, somebody waits for what was tried while it was away."""
PATIENCE_ATTEMPTS = 80
"""How often a job is tried when a part of the platform is away: for about half an hour."""

MAXIMUM_LOST_WORKERS = 2
"""A job with which so many workers died is not tried again: it may be what kills them."""


class Retry(msgspec.Struct, frozen=True):
    """Try again in ``delay`` seconds; whether this attempt counts towards the job's maximum."""

    delay: float
    counts: bool


Decision: TypeAlias = Retry | Literal["fail"]


def decide(error: BaseException, job: Job, *, chance: float) -> Decision:
    """Whether and when to retry after the job's attempt failed; ``chance`` in [0, 1) spreads the delays.

    Errors that Pagemill raises on purpose are final unless they say otherwise. A part that is away is not
    the job's fault: such attempts do not count, within reason. A job that loses its worker gets another one,
    but not one after the other. Runners that know better when to try again say so. Anything else may go away
    by itself.
    """
    if isinstance(error, PagemillError) and not error.retryable:
        return "fail"
    if isinstance(error, WorkerLost) and job.lost_workers + 1 >= MAXIMUM_LOST_WORKERS:
        return "fail"
    delay = error.delay if isinstance(error, TryAgain) else delay_after(job.attempt, chance)
    if isinstance(error, Unavailable):
        return Retry(delay, counts=False) if job.attempt < PATIENCE_ATTEMPTS else "fail"
    return Retry(delay, counts=True) if job.attempt < job.maximum_attempts else "fail"


def delay_after(attempt: int, chance: float) -> float:
    """Seconds to wait after the given attempt: growing, bounded, and between half and all of the bound."""
    bound = min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR ** min(attempt - 1, 32))
    return bound * (0.5 + chance / 2)
