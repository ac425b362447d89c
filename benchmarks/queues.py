"""Three job queues in Postgres behind one protocol: Pagemill's, pgqueuer's and procrastinate's.

Each runs one worker in this process, on its own pool of connections, with ``CONCURRENCY`` jobs at a time; all
commits are on disk. The handler of a job does nothing; a job has ended when its row says so.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import asyncpg
import procrastinate
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.queries import Queries

from benchmarks.own_queue import CONCURRENCY, Countdown, PagemillQueue, until_ended
from db.pool import PLANNED_ONCE, create_pool

CONNECTIONS = 10
PGQUEUER_BATCH = 32
"""The most that pgqueuer takes with so many at once."""
FILL_BATCH_SIZE = 1000


class Queue(Protocol):
    """One of the three, on a database of its own."""

    async def enqueue(self, jobs: int) -> None:
        """Queue this many jobs, as fast as it can."""
        ...

    async def drain(self, jobs: int) -> float:
        """Return the seconds from the worker's start until all ``jobs`` in the queue have ended."""
        ...


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
                "pagemill": PagemillQueue(ours, claiming),
                "pgqueuer": pgqueuer,
                "procrastinate": procrastinating,
            }
    finally:
        await ours.close()
        await claiming.close()
        await others.close()
