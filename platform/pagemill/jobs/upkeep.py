"""Upkeep of the queue, beside a dispatcher's own jobs: take over, delete and schedule jobs."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from db.pool import DATABASE_ERRORS, Pool, acquire
from pagemill.jobs import leases
from pagemill.jobs.kind import AnyKinds
from pagemill.jobs.observer import NOBODY, JobObserver
from pagemill.jobs.outcome_writer import wait_out
from pagemill.jobs.schedule import Schedule, Scheduler

logger = logging.getLogger(__name__)

PURGE_SECONDS = 3600.0
SCHEDULE_SECONDS = 60.0
"""Longest delay of a scheduled job."""
RETENTION_SECONDS = 7 * 24 * 3600.0


class QueueUpkeep:
    """Loops that take over jobs of dead workers, delete old jobs and queue scheduled ones.

    Any number of dispatchers may run them. ``heartbeat`` is in seconds. ``renew`` renews the dispatcher's own
    leases; ``requeued`` is told of each job that can be claimed again, and in how many seconds, ``observer``
    of what became of each that was taken over.
    """

    def __init__(
        self,
        pool: Pool,
        kinds: AnyKinds,
        schedules: Sequence[Schedule],
        *,
        heartbeat: float,
        renew: Callable[[], Awaitable[None]],
        requeued: Callable[[float], None],
        observer: JobObserver = NOBODY,
    ) -> None:
        self._pool, self._kinds = pool, kinds
        self._scheduler = Scheduler(schedules)
        self._heartbeat, self._renew, self._requeued = heartbeat, renew, requeued
        self._observer = observer

    async def reap_leases(self) -> None:
        """Take over jobs whose lease has expired, until cancelled."""
        while True:
            try:
                # Its own first: a process that stood still must not take its jobs from itself.
                await self._renew()
                async with acquire(self._pool) as connection:
                    taken_over = await leases.reap(connection, self._kinds)
            except DATABASE_ERRORS as error:
                await wait_out("taking over jobs", error)
                # Leases that ran out while Postgres was away may have living owners, who renew them first.
                await asyncio.sleep(2 * self._heartbeat)
                continue
            for job in taken_over:
                self._observer.ended(job.kind, job.outcome)
                if job.delay is not None:
                    logger.warning("job %s lost its worker; tried again in %.1f s", job.job_id, job.delay)
                    self._requeued(job.delay)
            if len(taken_over) < leases.REAP_BATCH_SIZE:
                await asyncio.sleep(self._heartbeat)

    async def purge_jobs(self) -> None:
        """Delete jobs that ended a week ago, until cancelled."""
        while True:
            try:
                async with acquire(self._pool) as connection:
                    purged = await leases.purge(connection, retention=RETENTION_SECONDS)
            except DATABASE_ERRORS as error:
                await wait_out("purging jobs", error)
                continue
            if purged < leases.PURGE_BATCH_SIZE:
                await asyncio.sleep(PURGE_SECONDS * random.uniform(0.8, 1.2))

    async def schedule_jobs(self) -> None:
        """Queue scheduled jobs, until cancelled."""
        while True:
            try:
                async with acquire(self._pool) as connection:
                    await self._scheduler.enqueue(connection)
            except DATABASE_ERRORS as error:
                await wait_out("queueing scheduled jobs", error)
                continue
            await asyncio.sleep(SCHEDULE_SECONDS * random.uniform(0.5, 1.0))
