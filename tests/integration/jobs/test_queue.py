"""Queueing, cancelling and reading the ends of jobs."""

from __future__ import annotations

import asyncio

import asyncpg

from pagemill.errors import BadRequest
from pagemill.jobs import leases, outcomes
from pagemill.jobs.job import CANCEL_CHANNEL, ENDED_CHANNEL, READY_CHANNEL, EndedJob, Job
from pagemill.jobs.kind import AnyKind
from pagemill.jobs.queue import ended_job, enqueue, request_cancel
from pagemill.work.predictions import PREDICTION
from tests.support.tenants import Tenant
from tests.support.working import RESULT, job_row, prediction_row, submit, used


async def claim(pool: asyncpg.Pool, kind: AnyKind = PREDICTION) -> Job:
    async with pool.acquire() as connection:
        (job,) = await leases.claim(connection, kind, owner="one", lease=60.0, limit=1)
    return job


async def test_a_job_that_is_rolled_back_was_never_there(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await enqueue(
            connection,
            PREDICTION,
            organization_id=organization.organization_id,
            subject_id="x",
            priority=0,
        )
        await transaction.rollback()
    assert await pool.fetchval("SELECT count(*) FROM job") == 0


async def test_success_writes_job_prediction_and_usage_at_once(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    job = await claim(pool)
    async with pool.acquire() as connection:
        assert await ended_job(connection, organization.organization_id, job_id) is None
        assert await outcomes.finish(connection, PREDICTION, job, RESULT)
        assert await ended_job(connection, organization.organization_id, job_id) == EndedJob(
            "succeeded", None, None
        )
    prediction = await prediction_row(pool, prediction_id)
    assert (prediction["status"], prediction["predictions"]) == ("succeeded", RESULT.predictions)
    assert (prediction["inference_time"], prediction["preprocess_config"]) == (0.5, {"maxPages": 3})
    counted = [
        await used(pool, organization.organization_id, meter)
        for meter in ("predictions", "pages", "fields", "active-models")
    ]
    assert counted == [1, 2, 1, 1]
    assert await pool.fetchval("SELECT count(*) FROM usage_reservation") == 0


async def test_a_model_is_active_once_a_month(pool: asyncpg.Pool, organization: Tenant) -> None:
    for model_id in ("las:model:one", "las:model:one", "las:model:two"):
        await submit(pool, organization.organization_id, model_id=model_id)
        async with pool.acquire() as connection:
            await outcomes.finish(connection, PREDICTION, await claim(pool), RESULT)
    assert await used(pool, organization.organization_id, "active-models") == 2


async def test_failure_is_shown_and_refunded(pool: asyncpg.Pool, organization: Tenant) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert await outcomes.fail(
            connection, PREDICTION, await claim(pool), BadRequest("pages: no such page")
        )
        ended = await ended_job(connection, organization.organization_id, job_id)
    assert ended == EndedJob("failed", "BadRequest", "pages: no such page")
    prediction = await prediction_row(pool, prediction_id)
    assert (prediction["status"], prediction["error"]) == ("failed", "pages: no such page")
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_foreign_jobs_are_neither_shown_nor_cancelled(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert not await request_cancel(
            connection,
            PREDICTION,
            organization_id=other_organization.organization_id,
            subject_id=prediction_id,
        )
        await outcomes.finish(connection, PREDICTION, await claim(pool), RESULT)
        assert await ended_job(connection, other_organization.organization_id, job_id) is None
    assert (await job_row(pool, job_id))["state"] == "succeeded"


async def test_a_queued_job_is_cancelled_at_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert await request_cancel(
            connection, PREDICTION, organization_id=organization.organization_id, subject_id=prediction_id
        )
        assert not await request_cancel(
            connection, PREDICTION, organization_id=organization.organization_id, subject_id=prediction_id
        )
    assert (await job_row(pool, job_id))["state"] == "cancelled"
    assert (await prediction_row(pool, prediction_id))["status"] == "failed"
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_a_cancelled_job_is_not_retried(pool: asyncpg.Pool, organization: Tenant) -> None:
    _, prediction_id = await submit(pool, organization.organization_id)
    job = await claim(pool)
    async with pool.acquire() as connection:
        await request_cancel(
            connection, PREDICTION, organization_id=organization.organization_id, subject_id=prediction_id
        )
        assert not await outcomes.retry(connection, job, RuntimeError(), delay=0.0)
        assert await outcomes.cancel(connection, PREDICTION, job)


async def test_each_step_is_notified(pool: asyncpg.Pool, database_url: str, organization: Tenant) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def hear(_connection: object, _pid: int, channel: str, payload: str) -> None:
        heard.put_nowait((channel, payload))

    connection = await asyncpg.connect(database_url)
    try:
        for channel in (READY_CHANNEL, ENDED_CHANNEL, CANCEL_CHANNEL):
            await connection.add_listener(channel, hear)
        job_id, prediction_id = await submit(pool, organization.organization_id)
        assert await asyncio.wait_for(heard.get(), 60) == (READY_CHANNEL, "prediction")
        job = await claim(pool)
        async with pool.acquire() as other:
            await request_cancel(
                other, PREDICTION, organization_id=organization.organization_id, subject_id=prediction_id
            )
            assert await asyncio.wait_for(heard.get(), 60) == (CANCEL_CHANNEL, job_id)
            await outcomes.cancel(other, PREDICTION, job)
        assert await asyncio.wait_for(heard.get(), 60) == (ENDED_CHANNEL, job_id)
    finally:
        await connection.close()
