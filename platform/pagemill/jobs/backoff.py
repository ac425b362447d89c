"""Deciding what follows a failed attempt: a pure function."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from pagemill.errors import PagemillError, Unavailable
from pagemill.jobs.job import Job, TryAgain, WorkerLost

FIRST_SECONDS = 1.0
FACTOR = 3.0
LONGEST_SECONDS = 30.0
"""When a service is back, a user waits for the jobs that were tried while it was away."""
PATIENCE_ATTEMPTS = 80
"""Attempts of a job while a service is away: about half an hour."""

MAXIMUM_LOST_WORKERS = 2
"""A job that has lost so many workers is not tried again, as a rule: it may be what kills them."""


class Retry(msgspec.Struct, frozen=True):
    """Another attempt in ``delay`` seconds; ``counts`` says whether this one counts towards the maximum."""

    delay: float
    counts: bool


Decision: TypeAlias = Retry | Literal["fail"]


def decide(
    error: BaseException, job: Job, *, chance: float, lost_workers: int = MAXIMUM_LOST_WORKERS
) -> Decision:
    """Decide whether and when to retry a job whose attempt failed; ``chance`` in [0, 1) spreads the delays.

    Errors that Pagemill raises on purpose are final unless they say otherwise. A service that is away is not
    the job's fault: such attempts do not count, within reason. A job that has lost ``lost_workers`` is not
    tried again. TryAgain carries its own delay. Any other error may go away by itself.
    """
    if isinstance(error, PagemillError) and not error.retryable:
        return "fail"
    if isinstance(error, WorkerLost) and job.lost_workers + 1 >= lost_workers:
        return "fail"
    delay = error.delay if isinstance(error, TryAgain) else delay_after(job.attempt, chance)
    if isinstance(error, Unavailable):
        return Retry(delay, counts=False) if job.attempt < PATIENCE_ATTEMPTS else "fail"
    return Retry(delay, counts=True) if job.attempt < job.maximum_attempts else "fail"


def delay_after(attempt: int, chance: float) -> float:
    """Return the seconds to wait after an attempt: between half and all of a growing, limited bound."""
    bound = min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR ** min(attempt - 1, 32))
    return bound * (0.5 + chance / 2)
