"""What follows when an attempt goes wrong: a pure decision."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from pagemill.errors import PagemillError, Unavailable

FIRST_SECONDS = 1.0
FACTOR = 3.0
LONGEST_SECONDS = 120.0
PATIENCE_ATTEMPTS = 20
"""How often a job is tried when a part of the platform is away: for about half an hour."""


class Retry(msgspec.Struct, frozen=True):
    """Try again in ``delay`` seconds; whether this attempt counts towards the job's maximum."""

    delay: float
    counts: bool


Decision: TypeAlias = Retry | Literal["fail"]


def decide(error: BaseException, attempt: int, maximum_attempts: int, *, chance: float) -> Decision:
    """Whether and when to retry after ``attempt`` (from 1) failed; ``chance`` in [0, 1) spreads the delays.

    Errors that Pagemill raises on purpose are final unless they say otherwise. A part that is away is not
    the job's fault: such attempts do not count, within reason. Anything else may go away by itself.
    """
    if isinstance(error, PagemillError) and not error.retryable:
        return "fail"
    delay = delay_after(attempt, chance)
    if isinstance(error, Unavailable):
        return Retry(delay, counts=False) if attempt < PATIENCE_ATTEMPTS else "fail"
    return Retry(delay, counts=True) if attempt < maximum_attempts else "fail"


def delay_after(attempt: int, chance: float) -> float:
    """Seconds to wait after the given attempt: growing, bounded, and between half and all of the bound."""
    bound = min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR ** min(attempt - 1, 32))
    return bound * (0.5 + chance / 2)
