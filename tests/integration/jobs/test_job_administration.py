"""The operator lists jobs, cancels them and retries failed ones."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from click.testing import CliRunner, Result

from pagemill.cli import main
from pagemill.errors import BadRequest, DocumentUnreadable, LimitExceeded, NotFound
from pagemill.jobs import job_administration, outcomes
from pagemill.jobs.kind import AnyKind
from pagemill.jobs.queue import enqueue
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.kinds import KINDS
from pagemill.work.predictions import PREDICTION
from pagemill.work.trainings import TRAINING
from tests.support.seeds import claim_job, seed_data_bundle, seed_model, seed_training, used
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import submit


async def fail_job(pool: asyncpg.Pool, kind: AnyKind, error: Exception) -> str:
    job = await claim_job(pool, kind)
    async with pool.acquire() as connection:
        assert await outcomes.fail(connection, kind, job, error)
    return job.id


async def test_a_failed_prediction_is_tried_again_and_counted_again(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    _, prediction_id = await submit(pool, organization.organization_id)
    job_id = await fail_job(pool, PREDICTION, DocumentUnreadable("The document is damaged"))
    assert await used(pool, organization.organization_id, "predictions") == 0
    async with pool.acquire() as connection:
        failed = await job_administration.find_job(connection, prediction_id)
        assert (failed.id, failed.state, failed.error_class, failed.retryable) == (
            job_id,
            "failed",
            "DocumentUnreadable",
            False,
        )
        again = await job_administration.retry_job(connection, KINDS, prediction_id)
    assert (again.id, again.state, again.attempt, again.error_class) == (job_id, "queued", 1, None)
    assert again.maximum_attempts > again.attempt
    assert await used(pool, organization.organization_id, "predictions") == 1
    assert await pool.fetchval("SELECT status FROM prediction WHERE id = $1", prediction_id) == "pending"
    assert (await claim_job(pool, PREDICTION)).attempt == 2


async def test_retrying_keeps_to_the_plan(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        tenant = await create_tenant(connection, allowed={"predictions": 1})
    _, prediction_id = await submit(pool, tenant.organization_id)
    await fail_job(pool, PREDICTION, DocumentUnreadable("damaged"))
    await pool.execute("UPDATE plan SET allowed = '{\"predictions\": 0}' WHERE id = $1", tenant.plan_id)
    async with pool.acquire() as connection:
        with pytest.raises(LimitExceeded):
            await job_administration.retry_job(connection, KINDS, prediction_id)
        assert (await job_administration.find_job(connection, prediction_id)).state == "failed"
    assert await pool.fetchval("SELECT status FROM prediction WHERE id = $1", prediction_id) == "failed"


@pytest.mark.parametrize(("kind", "reopened"), [(DATA_BUNDLE, "running"), (TRAINING, "pending")])
async def test_a_retried_job_reopens_its_resource(
    pool: asyncpg.Pool, organization: Tenant, kind: AnyKind, reopened: str
) -> None:
    owner = organization.organization_id
    model_id = await seed_model(pool, owner)
    seed, status = {
        "data-bundle": (seed_data_bundle, "running"),
        "training": (seed_training, "pending"),
    }[kind.name]
    subject_id = await seed(pool, owner, model_id, status=status)
    async with pool.acquire() as connection:
        await enqueue(connection, kind, organization_id=owner, subject_id=subject_id)
    await fail_job(pool, kind, RuntimeError("out of luck"))
    table = kind.name.replace("-", "_")
    assert await pool.fetchval(f"SELECT status FROM {table} WHERE id = $1", subject_id) == "failed"
    async with pool.acquire() as connection:
        await job_administration.retry_job(connection, KINDS, subject_id)
    assert await pool.fetchval(f"SELECT status FROM {table} WHERE id = $1", subject_id) == reopened


async def test_only_failed_jobs_are_retried(pool: asyncpg.Pool, organization: Tenant) -> None:
    _, prediction_id = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        with pytest.raises(BadRequest, match="is queued: only failed"):
            await job_administration.retry_job(connection, KINDS, prediction_id)


async def test_a_job_without_its_resource_is_not_retried(pool: asyncpg.Pool, organization: Tenant) -> None:
    _, prediction_id = await submit(pool, organization.organization_id)
    await fail_job(pool, PREDICTION, DocumentUnreadable("damaged"))
    await pool.execute("DELETE FROM prediction")
    async with pool.acquire() as connection:
        with pytest.raises(BadRequest, match="is gone"):
            await job_administration.retry_job(connection, KINDS, prediction_id)
        assert (await job_administration.find_job(connection, prediction_id)).state == "failed"


async def test_cancelling(pool: asyncpg.Pool, organization: Tenant) -> None:
    _, prediction_id = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        assert (await job_administration.cancel_job(connection, KINDS, prediction_id)).state == "cancelled"
        with pytest.raises(BadRequest, match="is cancelled already"):
            await job_administration.cancel_job(connection, KINDS, prediction_id)
        with pytest.raises(NotFound, match="no job"):
            await job_administration.cancel_job(connection, KINDS, "none")
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_listing(pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant) -> None:
    await submit(pool, organization.organization_id)
    await fail_job(pool, PREDICTION, DocumentUnreadable("damaged"))
    await submit(pool, other_organization.organization_id)
    async with pool.acquire() as connection:
        everything = await job_administration.list_jobs(connection)
        assert [job.state for job in everything] == ["queued", "failed"]
        failed = await job_administration.list_jobs(connection, states=["failed"])
        assert [job.organization_id for job in failed] == [organization.organization_id]
        assert await job_administration.list_jobs(connection, kind="training") == []
        own = await job_administration.list_jobs(
            connection, organization_id=other_organization.organization_id
        )
        assert [job.state for job in own] == ["queued"]
        assert len(await job_administration.list_jobs(connection, limit=1)) == 1


async def run(database_url: str, *arguments: str) -> Result:
    """The command line, which has an event loop of its own."""
    return await asyncio.to_thread(
        CliRunner().invoke, main, ["jobs", *arguments], env={"PAGEMILL_DATABASE_URL": database_url}
    )


async def test_the_commands(pool: asyncpg.Pool, organization: Tenant, database_url: str) -> None:
    _, prediction_id = await submit(pool, organization.organization_id)
    job_id = await fail_job(pool, PREDICTION, DocumentUnreadable("The document is damaged"))
    listed = await run(database_url, "list", "--state", "failed", "--json")
    assert [job["id"] for job in json.loads(listed.output)] == [job_id]
    assert "damaged" in (await run(database_url, "list")).output
    assert "DocumentUnreadable" in (await run(database_url, "show", prediction_id)).output
    assert json.loads((await run(database_url, "retry", job_id, "--json")).output)["state"] == "queued"
    cancelled = await run(database_url, "cancel", job_id)
    assert cancelled.exit_code == 0
    assert "cancelled" in cancelled.output
    missing = await run(database_url, "show", "none")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("pagemill: there is no job none")
