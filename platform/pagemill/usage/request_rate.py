"""How many requests an organization may send, shared by all API processes.

Each organization has a token bucket in Postgres. A process takes some tokens at a time and spends them by
itself, so that most requests cost no round trip, and all processes together never admit more than the bucket
gave. Tokens that a process does not spend soon are lost: a rate is a bound, not a promise.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg

from db.pool import acquire
from db.statements import Connection
from db.usage import TAKE_REQUESTS
from pagemill.errors import TooManyRequests
from pagemill.settings import Settings

KEPT_SECONDS = 1.0
"""Tokens that were taken longer ago are not spent any more."""
ORGANIZATIONS_KEPT = 10_000
BATCHES_A_SECOND = 10
LARGEST_BATCH = 100


class Borrowed(NamedTuple):
    """What the bucket gave: ``tokens`` whole ones, or none and how many seconds until there is one."""

    tokens: int
    wait: float


Borrow = Callable[[str, int], Awaitable[Borrowed]]
"""Takes at most so many tokens of an organization's bucket."""


@dataclass(slots=True)
class _Stock:
    tokens: int = 0
    taken_at: float = 0.0
    blocked_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RequestRate:
    """Admits the requests of one process. ``batch`` tokens are taken at once; ``clock`` is monotonic."""

    def __init__(self, borrow: Borrow, *, batch: int, clock: Callable[[], float]) -> None:
        self._borrow = borrow
        self._batch = max(1, batch)
        self._clock = clock
        self._stocks: OrderedDict[str, _Stock] = OrderedDict()

    async def admit(self, organization_id: str) -> None:
        """Spend a token. Raises TooManyRequests, which says after how many seconds to come again."""
        stock = self._stock(organization_id)
        if self._spend(stock):
            return
        async with stock.lock:
            # Others may have waited for the same tokens.
            if self._spend(stock):
                return
            borrowed = await self._borrow(organization_id, self._batch)
            now = self._clock()
            if borrowed.tokens < 1:
                stock.blocked_until = now + borrowed.wait
                raise TooManyRequests(retry_after_seconds=_whole_seconds(borrowed.wait))
            stock.tokens, stock.taken_at = borrowed.tokens - 1, now

    def _spend(self, stock: _Stock) -> bool:
        """Whether a token was there. Raises TooManyRequests while the bucket is known to be empty."""
        now = self._clock()
        if stock.tokens and now - stock.taken_at <= KEPT_SECONDS:
            stock.tokens -= 1
            return True
        if now < stock.blocked_until:
            raise TooManyRequests(retry_after_seconds=_whole_seconds(stock.blocked_until - now))
        return False

    def _stock(self, organization_id: str) -> _Stock:
        stock = self._stocks.get(organization_id)
        if stock is None:
            stock = self._stocks[organization_id] = _Stock()
            if len(self._stocks) > ORGANIZATIONS_KEPT:
                self._stocks.popitem(last=False)
        else:
            self._stocks.move_to_end(organization_id)
        return stock


def _whole_seconds(wait: float) -> int:
    return max(1, math.ceil(wait))


async def take_requests(
    connection: Connection, organization_id: str, *, rate: float, burst: int, batch: int
) -> Borrowed:
    """Take tokens of an organization's bucket, which fills by ``rate`` a second up to ``burst``."""
    row = await TAKE_REQUESTS.fetch_one(connection, organization_id, rate, float(burst), batch)
    assert row is not None
    wait = 0.0 if row["granted"] else (1.0 - row["tokens"]) / rate
    return Borrowed(row["granted"], wait)


def open_request_rate(pool: asyncpg.Pool, settings: Settings) -> RequestRate:
    """What a process admits by its settings; without a rate, everything."""
    rate, burst = settings.request_rate, settings.request_burst or math.ceil(2 * settings.request_rate)
    batch = min(max(1, int(rate / BATCHES_A_SECOND)), LARGEST_BATCH, max(burst, 1))

    async def borrow(organization_id: str, most: int) -> Borrowed:
        if rate <= 0:
            return Borrowed(most, 0.0)
        async with acquire(pool) as connection:
            return await take_requests(connection, organization_id, rate=rate, burst=burst, batch=most)

    return RequestRate(borrow, batch=batch, clock=time.monotonic)
