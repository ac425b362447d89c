"""How the API waits for the ends of jobs: any number of waiters on one LISTEN connection."""

from __future__ import annotations

import asyncio
import weakref

import asyncpg

from db.jobs import ENDED_AMONG
from db.statements import Connection
from pagemill.concurrency import cancel_and_wait
from pagemill.jobs.job import ENDED_CHANNEL
from pagemill.jobs.listening import Listening


class Outcome:
    """Somebody's interest in the end of one job; it ends with this object."""

    __slots__ = ("__weakref__", "ended", "job_id")

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.ended = asyncio.Event()


class OutcomeListener:
    """Open it with ``start`` once per process, close it with ``close``. Takes one connection of the pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._waiting: weakref.WeakValueDictionary[str, Outcome] = weakref.WeakValueDictionary()
        self._listening = Listening(
            pool, [ENDED_CHANNEL], heard=self._on_ended, connected=self._look_for_missed
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether ends are heard now; what is missed is looked up when it listens again."""
        return self._listening.is_connected.is_set()

    @property
    def waiting(self) -> int:
        """How many jobs somebody is interested in."""
        return len(self._waiting)

    async def start(self) -> None:
        """Begin to listen. Does not wait for Postgres."""
        if self._task is None:
            self._task = asyncio.create_task(self._listening.run(), name="outcome-listener")

    async def close(self) -> None:
        if self._task is not None:
            await cancel_and_wait([self._task])
            self._task = None

    def register(self, job_id: str) -> Outcome:
        """Take notice of the job's end; before its transaction commits, so that the end cannot be missed."""
        outcome = self._waiting.get(job_id)
        if outcome is None:
            outcome = self._waiting[job_id] = Outcome(job_id)
        return outcome

    async def wait(self, outcome: Outcome, seconds: float) -> bool:
        """Whether the job ended within ``seconds``; how it ended stands in the database."""
        try:
            await asyncio.wait_for(outcome.ended.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _on_ended(self, _channel: str, job_ids: str) -> None:
        for job_id in job_ids.split():
            outcome = self._waiting.get(job_id)
            if outcome is not None:
                outcome.ended.set()

    async def _look_for_missed(self, connection: Connection) -> None:
        waited_for = list(self._waiting.keys())
        if waited_for:
            for row in await ENDED_AMONG.fetch(connection, waited_for):
                self._on_ended(ENDED_CHANNEL, row["id"])
