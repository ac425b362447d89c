"""Metrics of a usage counter, exported by Ray as ``ray_pagemill_reservation*``."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Mapping, Sequence

from ray.util.metrics import Counter, Histogram

from pagemill.usage.combiner import Verdict

OUTCOME = "outcome"
OUTCOMES: Mapping[Verdict, str] = {"granted": "granted", "limit-exceeded": "refused", "job-ended": "ended"}
FAILED = "failed"
"""Outcome while Postgres is away: the caller asks again."""
SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0]


class ReservationMetrics:
    """Counts of one counter. No label names an organization."""

    def __init__(self) -> None:
        self._reservations = Counter(
            "pagemill_reservations", "Reservations of usage, by what became of them.", (OUTCOME,)
        )
        self._seconds = Histogram(
            "pagemill_reservation_seconds", "From a call with some reservations to their commit.", SECONDS
        )

    def answered(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """Count reservations that were committed, or refused, after some seconds."""
        self._seconds.observe(seconds)
        for verdict, number in Counts(verdicts).items():
            self._reservations.inc(number, {OUTCOME: OUTCOMES[verdict]})

    def failed(self, reservations: int) -> None:
        """Count reservations of which it is not known whether they were committed."""
        self._reservations.inc(reservations, {OUTCOME: FAILED})
