"""The queue of the platform with jobs whose runner does nothing, and one worker in this process."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from pagemill.jobs.dispatcher import Dispatcher
from pagemill.jobs.job import BATCH, Job
from pagemill.jobs.kind import RunnableKind
from pagemill.work.mail import MAIL

CONCURRENCY = 64
ORGANIZATIONS = 10
POLL_SECONDS = 0.005


async def until_ended(
    work: Callable[[], Awaitable[Any]],
    all_ran: asyncio.Event,
    is_open: Callable[[], Awaitable[bool]],
    stop: Callable[[], None] | None = None,
) -> float:
    """Return the seconds until every job has run and its row has ended; then stop the worker."""
    started = time.perf_counter()
    worker = asyncio.ensure_future(work())
    waiting = asyncio.ensure_future(all_ran.wait())
    await asyncio.wait({worker, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if worker.done():
        waiting.cancel()
        raise RuntimeError("the worker has ended before its jobs") from worker.exception()
    while await is_open():  # noqa: ASYNC110 - what is waited for happens in Postgres
        await asyncio.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - started
    if stop is None:
        worker.cancel()
    else:
        stop()
    await asyncio.gather(worker, return_exceptions=True)
    return seconds


class Countdown:
    """Counter that sets ``done`` after the expected number of calls."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self._left = 0

    def expect(self, calls: int) -> None:
        """Set the expected number of calls."""
        self.done.clear()
        self._left = calls

    def __call__(self) -> None:
        """Count one call."""
        self._left -= 1
        if self._left == 0:
            self.done.set()


class PagemillQueue:
    """Jobs of a kind without a resource, of ten organizations that take turns."""

    def __init__(self, pool: asyncpg.Pool, claiming: asyncpg.Pool) -> None:
        self._pool, self._claiming = pool, claiming
        self._ran = Countdown()

    async def enqueue(self, jobs: int) -> None:
        """Queue this many jobs."""
        await self._pool.execute("TRUNCATE job")
        await self._pool.execute(
            """
            INSERT INTO job (id, kind, organization_id, subject_id, priority)
            SELECT replace(gen_random_uuid()::text, '-', ''), 'mail',
                'las:organization:' || number % $2, 'none', $3
            FROM generate_series(1, $1) AS number
            """,
            jobs,
            ORGANIZATIONS,
            BATCH,
        )
        await self._pool.execute("VACUUM ANALYZE job")

    async def drain(self, jobs: int) -> float:
        """Return the seconds until all have ended."""
        self._ran.expect(jobs)
        dispatcher = Dispatcher(
            self._pool,
            [RunnableKind(kind=MAIL, run=self._run, concurrency=CONCURRENCY)],
            owner=uuid.uuid4().hex,
            lease=20.0,
            heartbeat=5.0,
            poll=5.0,
            claiming=self._claiming,
        )
        return await until_ended(dispatcher.run, self._ran.done, self._is_open, dispatcher.stop)

    async def _run(self, _job: Job) -> None:
        self._ran()

    async def _is_open(self) -> bool:
        is_open = "SELECT EXISTS (SELECT FROM job WHERE state IN ('queued', 'running'))"
        return bool(await self._pool.fetchval(is_open))
