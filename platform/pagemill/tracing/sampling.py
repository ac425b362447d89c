"""Choice of the requests that are traced."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from pagemill.tracing.context import TraceContext

BURST_SECONDS = 10.0
"""Clients that have asked for nothing for so long may ask for as many traces at once."""


class RequestSampler:
    """Sampler of one API process.

    A caller that sends a context has decided, as whoever stands before it did; but anybody can send one. So
    only ``client_rate`` traces a second are recorded because clients ask for them. What they ask for beyond
    that, and requests without a context, are traced in a ``share`` of all cases. Chance decides, not the
    trace id, which a client chooses.
    """

    def __init__(
        self,
        *,
        share: float,
        client_rate: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._share, self._rate = share, client_rate
        self._clock, self._chance = clock, chance
        self._most = max(1.0, client_rate * BURST_SECONDS) if client_rate > 0 else 0.0
        self._left, self._at = self._most, clock()

    def takes(self, parent: TraceContext | None) -> bool:
        """Return whether to trace a request, which has been sent with a context or without."""
        if parent is not None:
            if not parent.sampled:
                return False
            if self._may_ask():
                return True
        return self._chance() < self._share

    def _may_ask(self) -> bool:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
