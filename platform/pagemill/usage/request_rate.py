"""Request rate limit of an organization, shared by all API processes.

Each organization has a token bucket in Postgres. A process takes several tokens at a time and spends them
locally, so most requests need no round trip, and all processes together never admit more than the bucket
gave. Tokens that a process does not spend soon are lost: the rate is an upper bound.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from db import request_rate as statements
from db.pool import Pool, acquire
from db.statements import Connection
from pagemill.errors import TooManyRequests
from pagemill.ids import OrganizationId
from pagemill.settings import Settings

KEPT_SECONDS = 1.0
"""Tokens that were taken longer ago are not spent."""
ORGANIZATIONS_KEPT = 10_000
BATCHES_A_SECOND = 10
LARGEST_BATCH = 100


class TakenTokens(NamedTuple):
    """Tokens taken from a bucket: ``tokens`` of them, or none and the seconds until there is one."""

    tokens: int
    wait: float


TakeTokens: TypeAlias = Callable[[OrganizationId, int], Awaitable[TakenTokens]]
"""Takes at most so many tokens of an organization's bucket."""


@dataclass(slots=True)
class _Tokens:
    """Tokens of one organization that this process has not spent."""

    count: int = 0
    taken_at: float = 0.0
    blocked_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RequestRate:
    """Admission of the requests of one process.

    It takes ``batch`` tokens at a time; ``clock`` is monotonic.
    """

    def __init__(self, take: TakeTokens, *, batch: int, clock: Callable[[], float]) -> None:
        self._take = take
        self._batch = max(1, batch)
        self._clock = clock
        self._tokens: OrderedDict[OrganizationId, _Tokens] = OrderedDict()

    async def admit(self, organization_id: OrganizationId) -> None:
        """Spend a token. Raises TooManyRequests with the seconds until the next one."""
        tokens = self._tokens_of(organization_id)
        if self._spend(tokens):
            return
        async with tokens.lock:
            # Others may have waited for the same tokens.
            if self._spend(tokens):
                return
            taken = await self._take(organization_id, self._batch)
            now = self._clock()
            if taken.tokens < 1:
                tokens.blocked_until = now + taken.wait
                raise TooManyRequests(retry_after_seconds=_whole_seconds(taken.wait))
            tokens.count, tokens.taken_at = taken.tokens - 1, now

    def _spend(self, tokens: _Tokens) -> bool:
        """Return whether a token was there. Raises TooManyRequests while the bucket is known to be empty."""
        now = self._clock()
        if tokens.count and now - tokens.taken_at <= KEPT_SECONDS:
            tokens.count -= 1
            return True
        if now < tokens.blocked_until:
            raise TooManyRequests(retry_after_seconds=_whole_seconds(tokens.blocked_until - now))
        return False

    def _tokens_of(self, organization_id: OrganizationId) -> _Tokens:
        tokens = self._tokens.get(organization_id)
        if tokens is None:
            tokens = self._tokens[organization_id] = _Tokens()
            if len(self._tokens) > ORGANIZATIONS_KEPT:
                self._tokens.popitem(last=False)
        else:
            self._tokens.move_to_end(organization_id)
        return tokens


def _whole_seconds(wait: float) -> int:
    return max(1, math.ceil(wait))


async def take_requests(
    connection: Connection, organization_id: OrganizationId, *, rate: float, burst: int, batch: int
) -> TakenTokens:
    """Take at most ``batch`` tokens of a bucket that gets ``rate`` a second and holds ``burst``."""
    taken = await statements.take_requests(
        connection, organization_id=organization_id, rate=rate, burst=float(burst), wanted=batch
    )
    wait = 0.0 if taken.granted else (1.0 - taken.tokens) / rate
    return TakenTokens(taken.granted, wait)


def open_request_rate(pool: Pool, settings: Settings) -> RequestRate:
    """Return the admission that the settings ask for; without a rate, every request is admitted."""
    rate, burst = settings.request_rate, settings.request_burst or math.ceil(2 * settings.request_rate)
    batch = min(max(1, int(rate / BATCHES_A_SECOND)), LARGEST_BATCH, max(burst, 1))

    async def take(organization_id: OrganizationId, most: int) -> TakenTokens:
        if rate <= 0:
            return TakenTokens(most, 0.0)
        async with acquire(pool) as connection:
            return await take_requests(connection, organization_id, rate=rate, burst=burst, batch=most)

    return RequestRate(take, batch=batch, clock=time.monotonic)
