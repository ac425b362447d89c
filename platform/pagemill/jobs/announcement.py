"""Announcing a dispatcher in Postgres, where operators and the admission of jobs find it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass

from db.dispatchers import announce_dispatcher, delete_dead_dispatchers, delete_dispatcher
from db.pool import DATABASE_ERRORS, Pool, acquire
from pagemill.jobs.dispatcher import Dispatcher

MISSED = 3
"""Announcements that may fail before a dispatcher is thought to be dead."""
LISTENING_SECONDS = 0.5
"""Interval at first, until the dispatcher listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcer:
    """Announcer of one dispatcher, every ``interval`` seconds, on a connection of its pool.

    It tells nobody when Postgres is away: the dispatcher's own loops do.
    """

    pool: Pool
    name: str
    role: str
    release: str
    owner: str
    interval: float

    async def run(self, dispatcher: Dispatcher) -> None:
        """Announce a dispatcher until cancelled."""
        with contextlib.suppress(*DATABASE_ERRORS):
            async with acquire(self.pool) as connection:
                await delete_dead_dispatchers(connection)
        while True:
            with contextlib.suppress(*DATABASE_ERRORS):
                await self._announce(dispatcher)
            await asyncio.sleep(self.interval if dispatcher.is_listening else LISTENING_SECONDS)

    async def withdraw(self) -> None:
        """Announce that the dispatcher has ended."""
        with contextlib.suppress(*DATABASE_ERRORS):
            async with asyncio.timeout(self.interval), acquire(self.pool) as connection:
                await delete_dispatcher(connection, name=self.name, owner=self.owner)

    async def _announce(self, dispatcher: Dispatcher) -> None:
        async with acquire(self.pool) as connection:
            await announce_dispatcher(
                connection,
                name=self.name,
                role=self.role,
                release=self.release,
                owner=self.owner,
                listening=dispatcher.is_listening,
                draining=dispatcher.is_draining,
                slots=dispatcher.concurrency,
                running=Counter(job.kind for job in dispatcher.running),
                seconds=MISSED * self.interval,
            )
