"""Refusing new jobs of a kind while so many wait that one more would wait too long.

The estimate is a pure function of the queue. A process looks at the queue about once a second, however many
requests it has. While it is unknown how long jobs take, none is refused.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from db.dispatchers import count_slots
from db.job_reports import list_waiting_jobs
from db.pool import Pool, acquire
from db.statements import Connection
from pagemill.errors import QueueFull
from pagemill.ids import OrganizationId
from pagemill.jobs.kind import AnyKind
from pagemill.settings import Settings

KEPT_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60
COUNTED_PER_ORGANIZATION = 1000
COUNTED_IN_ALL = 10_000
RECENT_JOBS = 200


class QueueState(msgspec.Struct, frozen=True):
    """Waiting jobs, by organization and priority, and the seconds that one takes (None: unknown).

    ``slots`` is how many run at a time, as the dispatchers announce; 0 while none does.
    """

    waiting: Mapping[str, Mapping[int, int]]
    seconds: float | None
    slots: int = 0


EMPTY_QUEUE = QueueState({}, None)


def estimated_wait(queue: QueueState, organization_id: OrganizationId, priority: int, slots: int) -> float:
    """Return the seconds until a new job of an organization begins, with ``slots`` jobs running at once.

    Organizations take turns, so that of another one only as many jobs go first as of its own.
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


class QueueAdmission:
    """Admission of one process's jobs of a kind. ``longest_wait`` is in seconds, 0 admits all.

    ``slots`` is how many jobs run at a time when the dispatchers are back, where none announces itself.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[QueueState]],
        *,
        longest_wait: float,
        slots: int,
        clock: Callable[[], float],
    ) -> None:
        self._look, self._clock = look, clock
        self._longest_wait, self._slots = longest_wait, slots
        self._queue = EMPTY_QUEUE
        self._looked_at = -math.inf
        self._lock = asyncio.Lock()

    async def admit(self, organization_id: OrganizationId, priority: int) -> None:
        """Return when one more job may be queued. Raises QueueFull with the seconds to come again after."""
        if self._longest_wait <= 0:
            return
        queue = await self._current()
        slots = queue.slots or self._slots
        beyond = estimated_wait(queue, organization_id, priority, slots) - self._longest_wait
        if beyond > 0:
            raise QueueFull(retry_after_seconds=max(1, min(math.ceil(beyond), LONGEST_RETRY_SECONDS)))

    async def _current(self) -> QueueState:
        async with self._lock:
            if self._clock() - self._looked_at > KEPT_SECONDS:
                self._queue = await self._look()
                self._looked_at = self._clock()
            return self._queue


async def queue_state(connection: Connection, kind: AnyKind) -> QueueState:
    """Return the state of a kind's queue; of a very long queue only the beginning is counted."""
    rows = await list_waiting_jobs(
        connection,
        kind=kind.name,
        per_organization=COUNTED_PER_ORGANIZATION,
        in_all=COUNTED_IN_ALL,
        recent_jobs=RECENT_JOBS,
    )
    waiting: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for row in rows:
        waiting[row.organization_id][row.priority] = row.jobs
    slots = await count_slots(connection, kind=kind.name)
    return QueueState(waiting, rows[0].seconds if rows else None, slots)


def open_admission(pool: Pool, kind: AnyKind, settings: Settings, *, longest_wait: float) -> QueueAdmission:
    """Return the admission of a kind whose dispatchers have these settings."""

    async def look() -> QueueState:
        async with acquire(pool) as connection:
            return await queue_state(connection, kind)

    return QueueAdmission(
        look, longest_wait=longest_wait, slots=kind.concurrency(settings), clock=time.monotonic
    )
