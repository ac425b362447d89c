"""Three job queues in Postgres behind one protocol: Pagemill's, pgqueuer's and procrastinate's.

Each runs one worker in this process, on its own pool of connections, with ``CONCURRENCY`` jobs at a time; all
commits are on disk. The handler of a job does nothing; a job has ended when its row says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg
import procrastinate
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.queries import Queries

from db.pool import PLANNED_ONCE, create_pool
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.jobs.job import BATCH, Job
from pagemill.jobs.kind import RunnableKind
from pagemill.work.mail import MAIL

CONCURRENCY = 64
CONNECTIONS = 10
PGQUEUER_BATCH = 32
"""The most that pgqueuer takes with so many at once."""
ORGANIZATIONS = 10
POLL_SECONDS = 0.005
FILL_BATCH_SIZE = 1000


class Queue(Protocol):
    """One of the three, on a database of its own."""

    async def enqueue(self, jobs: int) -> None:
        """Queue this many jobs, as fast as it can."""
        ...

    async def drain(self, jobs: int) -> float:
        """Return the seconds from the worker's start until all ``jobs`` in the queue have ended."""
        ...


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


class Pagemill:
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


class Pgqueuer:
    """pgqueuer with logged tables, its durable default."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._queries = Queries(AsyncpgPoolDriver(pool))
        self._ran = Countdown()

    async def install(self) -> None:
        """Create its tables."""
        await self._queries.install()

    async def enqueue(self, jobs: int) -> None:
        """Queue this many jobs."""
        await self._pool.execute("TRUNCATE pgqueuer, pgqueuer_log")
        for start in range(0, jobs, FILL_BATCH_SIZE):
            size = min(FILL_BATCH_SIZE, jobs - start)
            await self._queries.enqueue(["none"] * size, [None] * size, [0] * size)
        await self._pool.execute("VACUUM ANALYZE pgqueuer")

    async def drain(self, jobs: int) -> float:
        """Return the seconds until all have ended."""
        self._ran.expect(jobs)
        manager = QueueManager(self._queries)

        @manager.entrypoint("none")
        async def run(_job: object) -> None:
            self._ran()

        async def work() -> None:
            await manager.run(batch_size=PGQUEUER_BATCH, max_concurrent_tasks=CONCURRENCY)

        return await until_ended(work, self._ran.done, self._is_open, manager.shutdown.set)

    async def _is_open(self) -> bool:
        return bool(await self._pool.fetchval("SELECT EXISTS (SELECT FROM pgqueuer)"))


class Procrastinate:
    """procrastinate with its psycopg connector; ended jobs are kept, as by default and as ours."""

    def __init__(self, pool: asyncpg.Pool, app: procrastinate.App) -> None:
        self._pool, self._app = pool, app
        self._ran = Countdown()

        @app.task(name="none")
        async def run() -> None:
            self._ran()

        self._task = run

    async def install(self) -> None:
        """Create its tables."""
        await self._app.schema_manager.apply_schema_async()

    async def enqueue(self, jobs: int) -> None:
        """Queue this many jobs."""
        await self._pool.execute("TRUNCATE procrastinate_jobs CASCADE")
        for start in range(0, jobs, FILL_BATCH_SIZE):
            await self._task.batch_defer_async(*({} for _ in range(min(FILL_BATCH_SIZE, jobs - start))))
        await self._pool.execute("VACUUM ANALYZE procrastinate_jobs")

    async def drain(self, jobs: int) -> float:
        """Return the seconds until all have ended."""
        self._ran.expect(jobs)

        async def work() -> None:
            await self._app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)

        return await until_ended(work, self._ran.done, self._is_open)

    async def _is_open(self) -> bool:
        is_open = "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
        return bool(await self._pool.fetchval(is_open))


@asynccontextmanager
async def open_queues(database_url: str, other_database_url: str) -> AsyncIterator[dict[str, Queue]]:
    """Install and return all three: ours on the migrated database, the others on the empty one."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    ours = await create_pool(database_url, size=CONNECTIONS - 1)
    claiming = await create_pool(database_url, size=1, session=PLANNED_ONCE)
    others = await asyncpg.create_pool(other_database_url, min_size=0, max_size=CONNECTIONS)
    connector = procrastinate.PsycopgConnector(conninfo=other_database_url, max_size=CONNECTIONS)
    app = procrastinate.App(connector=connector)
    try:
        async with app.open_async():
            pgqueuer, procrastinating = Pgqueuer(others), Procrastinate(others, app)
            await pgqueuer.install()
            await procrastinating.install()
            yield {
                "pagemill": Pagemill(ours, claiming),
                "pgqueuer": pgqueuer,
                "procrastinate": procrastinating,
            }
    finally:
        await ours.close()
        await claiming.close()
        await others.close()
