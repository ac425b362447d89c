"""Predictions that succeed together are written by one statement, and counted once each."""

from __future__ import annotations

import asyncpg

from pagemill.errors import DocumentUnreadable
from pagemill.jobs import leases, outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.kind import Finished
from pagemill.jobs.outcomes import FinishedOfKind
from pagemill.jobs.queue import request_cancel
from pagemill.work.predictions import CANCELLED, PREDICTION
from pagemill.work.trainings import TRAINING, TrainingResult
from tests.integration.work.test_trainings import begin as begin_training
from tests.support.queries import statements_run
from tests.support.tenants import Tenant
from tests.support.working import RESULT, prediction_row, submit, used


async def begin(pool: asyncpg.Pool, tenants: list[Tenant]) -> list[Job]:
    """Predictions that run, one for each of the tenants."""
    for tenant in tenants:
        await submit(pool, tenant.organization_id)
    async with pool.acquire() as connection:
        return await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=len(tenants))


async def test_a_batch_of_all_organizations_is_written_by_one_statement(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    jobs = await begin(pool, [organization, other_organization] * 5)
    batch = [FinishedOfKind(PREDICTION, Finished(job, RESULT)) for job in jobs]
    async with pool.acquire() as connection:
        with statements_run() as run:
            assert await outcomes.finish_together(connection, batch) == [True] * 10
    assert run.count("job_outcomes.end_succeeded_jobs") == 1
    assert run.count("predictions.succeed_predictions") == 1
    rows = [await prediction_row(pool, job.subject_id) for job in jobs]
    assert {(row["status"], row["next_page"], row["inference_time"]) for row in rows} == {
        ("succeeded", RESULT.next_page, RESULT.inference_time)
    }
    for tenant in (organization, other_organization):
        assert await used(pool, tenant.organization_id, "predictions") == 5
        assert await used(pool, tenant.organization_id, "pages") == 5 * RESULT.pages
        assert await used(pool, tenant.organization_id, "fields") == 5 * RESULT.fields
        assert await used(pool, tenant.organization_id, "active-models") == 1
    assert await pool.fetchval("SELECT count(*) FROM usage_reservation") == 0


async def test_kinds_that_end_together_are_written_and_counted_each(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    training = await begin_training(pool, organization.organization_id)
    (prediction,) = await begin(pool, [organization])
    trained = TrainingResult(evaluation={}, artefact_key="key", gpu_hours=1.5)
    async with pool.acquire() as connection:
        batch = [
            FinishedOfKind(TRAINING, Finished(training, trained)),
            FinishedOfKind(PREDICTION, Finished(prediction, RESULT)),
        ]
        assert await outcomes.finish_together(connection, batch) == [True, True]
    assert (await prediction_row(pool, prediction.subject_id))["status"] == "succeeded"
    status = "SELECT status FROM training WHERE id = $1"
    assert await pool.fetchval(status, training.subject_id) == "succeeded"
    assert await used(pool, organization.organization_id, "gpu-hours") == 1.5
    assert await used(pool, organization.organization_id, "pages") == RESULT.pages


async def test_failures_and_cancellations_keep_their_message_and_are_not_counted(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    failed, cancelled = await begin(pool, [organization] * 2)
    async with pool.acquire() as connection:
        await outcomes.fail(connection, PREDICTION, failed, DocumentUnreadable("The document is damaged"))
        await request_cancel(
            connection,
            PREDICTION,
            organization_id=organization.organization_id,
            subject_id=cancelled.subject_id,
        )
        await outcomes.cancel(connection, PREDICTION, cancelled)
    rows = [await prediction_row(pool, job.subject_id) for job in (failed, cancelled)]
    assert [(row["status"], row["error"]) for row in rows] == [
        ("failed", "The document is damaged"),
        ("failed", CANCELLED),
    ]
    assert await used(pool, organization.organization_id, "predictions") == 0
