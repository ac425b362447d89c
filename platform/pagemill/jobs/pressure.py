"""Refusing predictions while so many wait that one more would wait too long.

The estimate is a pure function of the queue. A process looks at the queue about once a second, however many
requests it has; when nothing is known of how long predictions take, none is refused.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import msgspec

from db.jobs import QUEUE_STATE
from db.pool import acquire
from db.statements import Connection
from pagemill.errors import QueueFull
from pagemill.jobs.job import JobKind
from pagemill.settings import Settings

KEPT_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60
COUNTED_OF_EACH = 1000
COUNTED_IN_ALL = 10_000
RECENT_JOBS = 200


class QueueState(msgspec.Struct, frozen=True):
    """How many jobs wait, by organization and priority, and how many seconds one works (None: unknown)."""

    waiting: Mapping[str, Mapping[int, int]]
    seconds: float | None


NOTHING_WAITS = QueueState({}, None)


def estimated_wait(queue: QueueState, organization_id: str, priority: int, slots: int) -> float:
    """Seconds until a new job of an organization begins, with ``slots`` that work at once.

    Organizations take turns, so that of another one only as many go before it as of its own.
    """
    if queue.seconds is None:
        return 0.0
    own = sum(jobs for level, jobs in queue.waiting.get(organization_id, {}).items() if level <= priority)
    others = sum(
        min(sum(levels.values()), own + 1)
        for other, levels in queue.waiting.items()
        if other != organization_id
    )
    return (own + others) * queue.seconds / slots


class Pressure:
    """Admits the predictions of one process. ``longest`` is in seconds, 0 admits all."""

    def __init__(
        self,
        look: Callable[[], Awaitable[QueueState]],
        *,
        longest: float,
        slots: int,
        clock: Callable[[], float],
    ) -> None:
        self._look, self._clock = look, clock
        self._longest, self._slots = longest, slots
        self._queue = NOTHING_WAITS
        self._looked_at = -math.inf
        self._lock = asyncio.Lock()

    async def admit(self, organization_id: str, priority: int) -> None:
        """Raises QueueFull, which says after how many seconds to come again."""
        if self._longest <= 0:
            return
        queue = await self._current()
        beyond = estimated_wait(queue, organization_id, priority, self._slots) - self._longest
        if beyond > 0:
            raise QueueFull(retry_after_seconds=max(1, min(math.ceil(beyond), LONGEST_RETRY_SECONDS)))

    async def _current(self) -> QueueState:
        async with self._lock:
            if self._clock() - self._looked_at > KEPT_SECONDS:
                self._queue = await self._look()
                self._looked_at = self._clock()
            return self._queue


async def queue_state(connection: Connection, kind: JobKind) -> QueueState:
    """What waits of a kind; of a very long queue only its beginning."""
    rows = await QUEUE_STATE.fetch(connection, kind, COUNTED_OF_EACH, COUNTED_IN_ALL, RECENT_JOBS)
    waiting: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for row in rows:
        waiting[row["organization_id"]][row["priority"]] = row["jobs"]
    return QueueState(waiting, rows[0]["seconds"] if rows else None)


def open_pressure(pool: asyncpg.Pool, settings: Settings) -> Pressure:
    """What a process admits by its settings."""

    async def look() -> QueueState:
        async with acquire(pool) as connection:
            return await queue_state(connection, "prediction")

    return Pressure(
        look,
        longest=settings.prediction_queue_wait_max,
        slots=settings.predictions_at_once,
        clock=time.monotonic,
    )
