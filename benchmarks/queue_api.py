"""Reference for accepting jobs: bare Litestar handlers that queue one and answer.

They check no token, look up nothing and store nothing but the job, which is on disk when they answer.

granian --interface=asgi --factory benchmarks.queue_api:create_app
"""

from __future__ import annotations

import os

import asyncpg
import procrastinate
from litestar import Litestar, post
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.queries import Queries

CONNECTIONS = 10


def create_app() -> Litestar:
    """Create the application on the database of PAGEMILL_DATABASE_URL, where both queues are installed."""
    url = os.environ["PAGEMILL_DATABASE_URL"]
    queries: list[Queries] = []
    connector = procrastinate.PsycopgConnector(conninfo=url, max_size=CONNECTIONS)
    app = procrastinate.App(connector=connector)

    @app.task(name="none")
    async def none() -> None:
        return

    async def open_all() -> None:
        pool = await asyncpg.create_pool(url, min_size=0, max_size=CONNECTIONS)
        queries.append(Queries(AsyncpgPoolDriver(pool)))
        await app.open_async()

    @post("/pgqueuer", status_code=200)
    async def enqueue() -> dict[str, str]:
        (job_id,) = await queries[0].enqueue("none", None)
        return {"jobId": str(job_id)}

    @post("/procrastinate", status_code=200)
    async def defer() -> dict[str, str]:
        return {"jobId": str(await none.defer_async())}

    return Litestar([enqueue, defer], on_startup=[open_all], openapi_config=None, logging_config=None)
