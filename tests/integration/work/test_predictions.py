"""Predictions that succeed together are ended by one statement, and counted once each."""

from __future__ import annotations

import json

import asyncpg
import pytest

from pagemill.errors import DocumentUnreadable
from pagemill.jobs import leases, outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.kind import Finished
from pagemill.jobs.outcomes import FinishedOfKind
from pagemill.jobs.queue import request_cancel
from pagemill.secret_box import new_secret_key, read_secret_keys
from pagemill.work.predictions import CANCELLED, PREDICTION
from pagemill.work.trainings import TRAINING, TrainingResult
from tests.integration.work.test_trainings import begin as begin_training
from tests.support.hooks import add_webhook
from tests.support.queries import round_trips
from tests.support.tenants import Tenant
from tests.support.working import RESULT, prediction_row, submit, used

BOX = read_secret_keys(new_secret_key("test"))


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
        with round_trips() as run:
            assert await outcomes.finish_together(connection, batch) == ["succeeded"] * 10
    assert run == ["prediction_jobs.end_succeeded_predictions"]
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


async def test_what_a_webhook_is_told_of_ends_in_a_transaction_with_its_delivery(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    """Of a batch only these; they are written and counted like the others."""
    jobs = await begin(pool, [organization, other_organization] * 2)
    webhook = await add_webhook(pool, organization.organization_id, BOX, "https://example.com")
    batch = [FinishedOfKind(PREDICTION, Finished(job, RESULT)) for job in jobs]
    async with pool.acquire() as connection:
        with round_trips() as run:
            assert await outcomes.finish_together(connection, batch) == ["succeeded"] * 4
    assert run == [
        "prediction_jobs.end_succeeded_predictions",
        "BEGIN",
        "job_outcomes.end_succeeded_jobs",
        "prediction_jobs.succeed_predictions",
        *["webhook_deliveries.queue_deliveries"] * 2,
        "usage.settle_reservations",
    ]
    deliveries = await pool.fetch("SELECT webhook_id, body FROM webhook_delivery")
    assert {row["webhook_id"] for row in deliveries} == {webhook.id}
    told = {json.loads(row["body"])["data"]["predictionId"] for row in deliveries}
    assert told == {job.subject_id for job in jobs if job.organization_id == organization.organization_id}
    rows = [await prediction_row(pool, job.subject_id) for job in jobs]
    assert {(row["status"], row["inference_time"]) for row in rows} == {("succeeded", RESULT.inference_time)}
    for tenant in (organization, other_organization):
        assert await used(pool, tenant.organization_id, "predictions") == 2
        assert await used(pool, tenant.organization_id, "pages") == 2 * RESULT.pages
        assert await used(pool, tenant.organization_id, "fields") == 2 * RESULT.fields
        assert await used(pool, tenant.organization_id, "active-models") == 1
    assert await pool.fetchval("SELECT count(*) FROM usage_reservation") == 0


@pytest.mark.parametrize("webhook", [False, True])
async def test_a_result_without_its_prediction_ends_its_job_and_is_counted(
    pool: asyncpg.Pool, organization: Tenant, webhook: bool
) -> None:
    """The prediction may be deleted while its job runs: no model has been active then."""
    (job,) = await begin(pool, [organization])
    if webhook:
        await add_webhook(pool, organization.organization_id, BOX, "https://example.com")
    await pool.execute("DELETE FROM prediction WHERE id = $1", job.subject_id)
    async with pool.acquire() as connection:
        assert await outcomes.finish(connection, PREDICTION, job, RESULT)
    assert await used(pool, organization.organization_id, "pages") == RESULT.pages
    assert await used(pool, organization.organization_id, "active-models") == 0


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
        assert await outcomes.finish_together(connection, batch) == ["succeeded"] * 2
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
