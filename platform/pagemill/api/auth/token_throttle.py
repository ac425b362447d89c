"""Bounds of how often an address asks for tokens, decided before any secret is compared.

The buckets are of one process: a limit of all would be a write for each try of a stranger, and secrets are
256 random bits, so it is load that is bounded, not luck. Several API processes admit so many times the tries.
A client is only counted together with the address: nobody locks out a client from elsewhere.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from pagemill.api.http.client_address import neighbourhood
from pagemill.errors import TooManyRequests

BURST_SECONDS: Final = 10.0
CLIENTS_OF_ADDRESS: Final = 10.0
"""An address may ask so many times as often as one client: an office can be behind it."""
BUCKETS_KEPT: Final = 20_000
LONGEST_CLIENT_ID: Final = 256


class Buckets:
    """Buckets of tokens by key, of which the ones used last are kept. Each fills at ``rate`` a second.

    It holds ``most`` tokens, or those of ten seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float], *, most: float | None = None) -> None:
        self._rate, self._most = rate, max(1.0, rate * BURST_SECONDS if most is None else most)
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one token; return 0, or the seconds until there is one."""
        now = self._clock()
        tokens, since = self._kept.pop(key, (self._most, now))
        tokens = min(self._most, tokens + (now - since) * self._rate)
        taken = tokens >= 1.0
        self._kept[key] = (tokens - 1.0 if taken else tokens, now)
        if len(self._kept) > BUCKETS_KEPT:
            self._kept.popitem(last=False)
        return 0.0 if taken else (1.0 - tokens) / self._rate


class TokenThrottle:
    """Admission to ``/token``; ``rate`` is for one client from one address, 0 for no limit."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limited = rate > 0
        self._addresses = Buckets(rate * CLIENTS_OF_ADDRESS, clock)
        self._clients = Buckets(rate, clock)

    def admit(self, address: str, client_id: str) -> None:
        """Count a try. Raises TooManyRequests with the seconds until the next one."""
        if not self._limited:
            return
        near = neighbourhood(address)
        wait = self._addresses.take(near) or self._clients.take(f"{near} {client_id[:LONGEST_CLIENT_ID]}")
        if wait:
            raise TooManyRequests(retry_after_seconds=max(1, math.ceil(wait)))
