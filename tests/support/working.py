"""Jobs for tests: predictions that are queued, and dispatchers that run them."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from pagemill.ids import PredictionId, new_id
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.jobs.job import INTERACTIVE, Job
from pagemill.jobs.kind import AnyKind, RunnableKind, Runner
from pagemill.jobs.observer import NOBODY, JobObserver
from pagemill.jobs.queue import enqueue
from pagemill.usage.meters import Meter
from pagemill.usage.organization_usage import usage_of
from pagemill.work.predictions import PREDICTION, PredictionResult

DEADLINE = 60.0
RESULT = PredictionResult(
    predictions=[{"label": "total", "value": "1.00", "confidence": 0.9}],
    inference_time=0.5,
    next_page=None,
    preprocess_config={"maxPages": 3},
    pages=2,
    fields=1,
)


async def submit(
    pool: asyncpg.Pool,
    organization_id: str,
    *,
    priority: int = INTERACTIVE,
    maximum_attempts: int = 5,
    model_id: str = "las:model:one",
) -> tuple[str, str]:
    """Queue a prediction as the API does; returns the ids of the job and of the prediction."""
    prediction_id = new_id(PredictionId)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """
            INSERT INTO prediction (organization_id, id, document_id, model_id, model_reference, training_id)
            VALUES ($1, $2, 'document', $3, $3, 'training')
            """,
            organization_id,
            prediction_id,
            model_id,
        )
        job_id = await enqueue(
            connection,
            dataclasses.replace(PREDICTION, maximum_attempts=maximum_attempts),
            organization_id=organization_id,
            subject_id=prediction_id,
            priority=priority,
        )
    return job_id, prediction_id


async def job_row(pool: asyncpg.Pool, job_id: str) -> Mapping[str, Any]:
    return dict(await pool.fetchrow("SELECT * FROM job WHERE id = $1", job_id))


async def prediction_row(pool: asyncpg.Pool, prediction_id: str) -> Mapping[str, Any]:
    return dict(await pool.fetchrow("SELECT * FROM prediction WHERE id = $1", prediction_id))


async def used(pool: asyncpg.Pool, organization_id: str, meter: Meter) -> float:
    async with pool.acquire() as connection:
        return (await usage_of(connection, organization_id)).used[meter]


async def until(condition: Callable[[], Awaitable[Any]], *, seconds: float = DEADLINE) -> None:
    """Wait until the condition holds. Raises TimeoutError after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in Postgres
            await asyncio.sleep(0.01)


async def until_ended(pool: asyncpg.Pool, *job_ids: str, seconds: float = DEADLINE) -> list[str]:
    """Wait until the jobs have ended; returns their states."""

    async def ended() -> bool:
        open_jobs = "SELECT count(*) FROM job WHERE id = ANY($1) AND state IN ('queued', 'running')"
        return await pool.fetchval(open_jobs, list(job_ids)) == 0

    await until(ended, seconds=seconds)
    return [(await job_row(pool, job_id))["state"] for job_id in job_ids]


@asynccontextmanager
async def dispatching(
    pool: asyncpg.Pool,
    runner: Runner[Any],
    *,
    kinds: Sequence[AnyKind] = (PREDICTION,),
    owner: str | None = None,
    lease: float = 5.0,
    heartbeat: float = 0.1,
    poll: float = 600.0,
    limit: int = 4,
    interval: float = 0.0,
    observer: JobObserver = NOBODY,
) -> AsyncIterator[Dispatcher]:
    """A dispatcher that works until the block is left; it listens when the block begins."""
    dispatcher = Dispatcher(
        pool,
        [RunnableKind(kind=kind, run=runner, concurrency=limit, interval=interval) for kind in kinds],
        owner=owner or uuid.uuid4().hex,
        lease=lease,
        heartbeat=heartbeat,
        poll=poll,
        observer=observer,
    )
    task = asyncio.create_task(dispatcher.run())

    async def listens() -> bool:
        return dispatcher.is_listening or task.done()

    try:
        await until(listens)
        yield dispatcher
    finally:
        dispatcher.stop()
        await task


async def succeed(_job: Job) -> PredictionResult:
    """A runner."""
    return RESULT
