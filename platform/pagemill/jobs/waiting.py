"""Waiting for jobs to end: any number of waiters on one LISTEN connection."""

from __future__ import annotations

import asyncio
import weakref

from db.jobs import list_ended_among
from db.pool import Pool
from db.statements import Connection
from pagemill.concurrency import cancel_and_wait
from pagemill.ids import JobId
from pagemill.jobs.job import ENDED_CHANNEL
from pagemill.jobs.notifications import NotificationListener


class JobWaiter:
    """A caller's interest in the end of one job; it ends with this object."""

    __slots__ = ("__weakref__", "ended", "job_id")

    def __init__(self, job_id: JobId) -> None:
        self.job_id = job_id
        self.ended = asyncio.Event()


class JobListener:
    """Listener for ends of jobs, one in a process. It takes one connection of the pool."""

    def __init__(self, pool: Pool) -> None:
        self._waiters: weakref.WeakValueDictionary[JobId, JobWaiter] = weakref.WeakValueDictionary()
        self._notifications = NotificationListener(
            pool, [ENDED_CHANNEL], heard=self._on_ended, connected=self._look_for_missed
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        """Return whether ends are heard now; missed ones are looked up when it listens again."""
        return self._notifications.is_connected.is_set()

    @property
    def waiting(self) -> int:
        """Number of jobs that are waited for."""
        return len(self._waiters)

    async def start(self) -> None:
        """Begin to listen, without waiting for Postgres."""
        if self._task is None:
            self._task = asyncio.create_task(self._notifications.run(), name="job-listener")

    async def close(self) -> None:
        """Stop listening and give the connection back."""
        if self._task is not None:
            await cancel_and_wait([self._task])
            self._task = None

    def register(self, job_id: JobId) -> JobWaiter:
        """Return the job's waiter. Call it before the job is committed, so that its end cannot be missed."""
        waiter = self._waiters.get(job_id)
        if waiter is None:
            waiter = self._waiters[job_id] = JobWaiter(job_id)
        return waiter

    async def wait(self, waiter: JobWaiter, seconds: float) -> bool:
        """Wait for the job and return whether it ended in time; how it ended stands in the database."""
        try:
            await asyncio.wait_for(waiter.ended.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _on_ended(self, _channel: str, job_ids: str) -> None:
        for job_id in job_ids.split():
            waiter = self._waiters.get(JobId(job_id))
            if waiter is not None:
                waiter.ended.set()

    async def _look_for_missed(self, connection: Connection) -> None:
        waited_for = list(self._waiters.keys())
        if waited_for:
            for job_id in await list_ended_among(connection, job_ids=waited_for):
                self._on_ended(ENDED_CHANNEL, job_id)
