"""The outcome of a training's job is written to the training, and its GPU hours are counted."""

from __future__ import annotations

import asyncpg
import pytest

from pagemill.errors import BadRequest
from pagemill.jobs import outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.job_administration import retry_job
from pagemill.jobs.kind import Finished
from pagemill.jobs.outcomes import FinishedOfKind
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.work.kinds import KINDS
from pagemill.work.trainings import TRAINING, TrainingResult
from tests.support.seeds import claim_job, seed_model, seed_training, used
from tests.support.tenants import Tenant
from tests.support.working import job_row

RESULT = TrainingResult(evaluation={"f1": 0.9}, artefact_key="key", gpu_hours=0.25)


async def begin(pool: asyncpg.Pool, organization_id: str) -> Job:
    """A training that runs."""
    model_id = await seed_model(pool, organization_id)
    training_id = await seed_training(pool, organization_id, model_id, status="running")
    async with pool.acquire() as connection:
        await enqueue(connection, TRAINING, organization_id=organization_id, subject_id=training_id)
    return await claim_job(pool, TRAINING)


async def status(pool: asyncpg.Pool, job: Job) -> str:
    return str(await pool.fetchval("SELECT status FROM training WHERE id = $1", job.subject_id))


async def test_success_writes_the_artefact_and_counts_gpu_hours(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job = await begin(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert await outcomes.finish(connection, TRAINING, job, RESULT)
    row = await pool.fetchrow("SELECT * FROM training WHERE id = $1", job.subject_id)
    assert (row["status"], row["evaluation"], row["artefact_key"]) == ("succeeded", {"f1": 0.9}, "key")
    assert row["gpu_hours"] == 0.25
    assert await used(pool, organization.organization_id, "gpu-hours") == 0.25


async def test_trainings_that_end_together_are_counted_each(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    owners = [organization.organization_id, other_organization.organization_id, organization.organization_id]
    jobs = [await begin(pool, owner) for owner in owners]
    batch = [FinishedOfKind(TRAINING, Finished(job, RESULT)) for job in jobs]
    async with pool.acquire() as connection:
        assert await outcomes.finish_together(connection, batch) == ["succeeded"] * 3
    assert [await status(pool, job) for job in jobs] == ["succeeded"] * 3
    assert await used(pool, owners[0], "gpu-hours") == 0.5
    assert await used(pool, owners[1], "gpu-hours") == 0.25


async def test_a_result_after_the_request_to_cancel_is_dropped(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    owner = organization.organization_id
    job = await begin(pool, owner)
    async with pool.acquire() as connection:
        assert await request_cancel(connection, TRAINING, organization_id=owner, subject_id=job.subject_id)
        assert await status(pool, job) == "cancelled"
        assert (await job_row(pool, job.id))["state"] == "running"
        assert await outcomes.finish(connection, TRAINING, job, RESULT)
    assert (await job_row(pool, job.id))["state"] == "cancelled"
    assert await status(pool, job) == "cancelled"
    assert await used(pool, owner, "gpu-hours") == 0


async def test_a_failed_training_waits_again_when_it_is_retried(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job = await begin(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert await outcomes.fail(connection, TRAINING, job, BadRequest("no ground truth"))
        assert await status(pool, job) == "failed"
        await retry_job(connection, KINDS, job.subject_id)
    assert await status(pool, job) == "pending"


@pytest.mark.parametrize("late", ["fail", "finish"])
async def test_the_first_outcome_stays(pool: asyncpg.Pool, organization: Tenant, late: str) -> None:
    job = await begin(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert await outcomes.finish(connection, TRAINING, job, RESULT)
        if late == "fail":
            assert not await outcomes.fail(connection, TRAINING, job, BadRequest("late"))
        else:
            assert not await outcomes.finish(connection, TRAINING, job, RESULT)
    assert await status(pool, job) == "succeeded"
    assert await used(pool, organization.organization_id, "gpu-hours") == 0.25
