"""Seconds that a page takes a place of a replica, measured from what Serve and Postgres see."""

from __future__ import annotations

from collections import deque

FEWEST_PAGES = 10
"""From so many pages on a mean means something."""


class Pace:
    """Seconds for which places of replicas were taken, over a sliding window of ``window`` seconds."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._totals: deque[tuple[float, float]] = deque()

    def observe(self, now: float, busy: float) -> None:
        """Note that ``busy`` places are taken now; at most once a second is enough."""
        if not self._totals:
            self._totals.append((now, 0.0))
            return
        last, total = self._totals[-1]
        if now - last < 1.0:
            return
        self._totals.append((now, total + busy * (now - last)))
        while self._totals[0][0] < now - self._window:
            self._totals.popleft()

    def seconds_per_page(self, pages: float) -> float | None:
        """Return the seconds that each of the pages took that ended in the window; None of too few."""
        if pages < FEWEST_PAGES or len(self._totals) < 2:
            return None
        seconds = self._totals[-1][1] - self._totals[0][1]
        return seconds / pages if seconds > 0 else None
