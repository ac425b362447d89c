"""The outcome of a data bundle's job is written to the bundle."""

from __future__ import annotations

import asyncpg

from pagemill.errors import BadRequest
from pagemill.jobs import outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.job_administration import retry_job
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.work.data_bundles import DATA_BUNDLE, DataBundleResult
from pagemill.work.kinds import KINDS
from tests.support.seeds import claim_job, seed_data_bundle, seed_model
from tests.support.tenants import Tenant

RESULT = DataBundleResult(summary={"total": 1}, object_key="key")


async def begin(pool: asyncpg.Pool, organization_id: str) -> Job:
    """A data bundle that is being made."""
    model_id = await seed_model(pool, organization_id)
    data_bundle_id = await seed_data_bundle(pool, organization_id, model_id, status="running")
    async with pool.acquire() as connection:
        await enqueue(connection, DATA_BUNDLE, organization_id=organization_id, subject_id=data_bundle_id)
    return await claim_job(pool, DATA_BUNDLE)


async def written(pool: asyncpg.Pool, job: Job) -> tuple[object, ...]:
    row = await pool.fetchrow(
        "SELECT status, summary, object_key FROM data_bundle WHERE id = $1", job.subject_id
    )
    return tuple(row)


async def test_success_writes_summary_and_key(pool: asyncpg.Pool, organization: Tenant) -> None:
    job = await begin(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert await outcomes.finish(connection, DATA_BUNDLE, job, RESULT)
    assert await written(pool, job) == ("succeeded", {"total": 1}, "key")


async def test_failure_writes_the_status_until_it_is_retried(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job = await begin(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert await outcomes.fail(connection, DATA_BUNDLE, job, BadRequest("no documents"))
        assert await written(pool, job) == ("failed", None, None)
        await retry_job(connection, KINDS, job.id)
    assert await written(pool, job) == ("running", None, None)


async def test_a_cancelled_bundle_has_failed_and_stays_so(pool: asyncpg.Pool, organization: Tenant) -> None:
    job = await begin(pool, organization.organization_id)
    async with pool.acquire() as connection:
        await request_cancel(
            connection,
            DATA_BUNDLE,
            organization_id=organization.organization_id,
            subject_id=job.subject_id,
        )
        assert await written(pool, job) == ("failed", None, None)
        await outcomes.finish(connection, DATA_BUNDLE, job, RESULT)
    assert await written(pool, job) == ("failed", None, None)
