"""Events are queued in the transaction of the outcome, once, for the webhooks and people who want them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from db.webhooks import delete_webhook
from pagemill.api.auth.seeded_roles import ADMIN, MEMBER
from pagemill.jobs import leases, outcomes
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.job_administration import retry_job
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.secret_box import new_secret_key, read_secret_keys
from pagemill.work.data_bundles import DATA_BUNDLE, DataBundleResult
from pagemill.work.kinds import KINDS
from pagemill.work.predictions import PREDICTION
from pagemill.work.trainings import TRAINING, TrainingResult
from tests.support.hooks import add_webhook
from tests.support.mailed import mailed, set_mail
from tests.support.people import add_user
from tests.support.queries import statements_run
from tests.support.seeds import claim_job, seed_data_bundle, seed_model, seed_training
from tests.support.tenants import Tenant
from tests.support.working import RESULT, dispatching, submit, succeed, until, until_ended
from train_jobs.attempt_guard import set_training_status

BOX = read_secret_keys(new_secret_key("test"))
URL = "https://example.com/hook"
TRAINED = TrainingResult(evaluation={}, artefact_key="artefact/", gpu_hours=0.0)


async def deliveries(pool: asyncpg.Pool) -> list[tuple[str, dict[str, Any]]]:
    rows = await pool.fetch("SELECT event_type, body FROM webhook_delivery ORDER BY created_time, id")
    return [(row["event_type"], json.loads(row["body"])) for row in rows]


async def types(pool: asyncpg.Pool) -> list[str]:
    return [event_type for event_type, _ in await deliveries(pool)]


async def webhook_jobs(pool: asyncpg.Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM job WHERE kind = 'webhook'"))


async def training_job(pool: asyncpg.Pool, organization_id: str) -> Job:
    """A training whose job is claimed."""
    model_id = await seed_model(pool, organization_id)
    training_id = await seed_training(pool, organization_id, model_id, status="pending")
    async with pool.acquire() as connection:
        await enqueue(
            connection,
            TRAINING,
            organization_id=organization_id,
            subject_id=training_id,
        )
    return await claim_job(pool, TRAINING)


async def finish(pool: asyncpg.Pool, job: Job, result: object) -> bool:
    async with pool.acquire() as connection:
        return await outcomes.finish(connection, KINDS[job.kind], job, result)


async def fail(pool: asyncpg.Pool, job: Job) -> bool:
    async with pool.acquire() as connection:
        return await outcomes.fail(connection, KINDS[job.kind], job, RuntimeError("odd"))


async def test_a_prediction_is_told_once_however_often_its_outcome_is_written(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    await add_webhook(pool, organization.organization_id, BOX, URL)
    _, prediction_id = await submit(pool, organization.organization_id, model_id="las:model:one")
    job = await claim_job(pool, PREDICTION)
    assert sorted(await asyncio.gather(*(finish(pool, job, RESULT) for _ in range(4)))) == [False] * 3 + [
        True
    ]
    assert not await fail(pool, job)
    ((event_type, body),) = await deliveries(pool)
    assert event_type == body["type"] == "prediction.succeeded"
    assert body["data"] == {
        "predictionId": prediction_id,
        "documentId": "document",
        "modelId": "las:model:one",
        "trainingId": "training",
        "status": "succeeded",
    }
    assert body["timestamp"].endswith("+00:00")
    assert await webhook_jobs(pool) == 1


async def test_a_lost_workers_late_result_is_not_told(pool: asyncpg.Pool, organization: Tenant) -> None:
    await add_webhook(pool, organization.organization_id, BOX, URL)
    await submit(pool, organization.organization_id)
    late = await claim_job(pool, PREDICTION)
    await pool.execute("UPDATE job SET lease_expires = now() - interval '1 s' WHERE id = $1", late.id)
    async with pool.acquire() as connection:
        assert len(await leases.reap(connection, KINDS)) == 1
    await pool.execute("UPDATE job SET run_after = now() WHERE id = $1", late.id)
    again = await claim_job(pool, PREDICTION)
    assert not await finish(pool, late, RESULT)
    assert await types(pool) == []
    assert await fail(pool, again)
    assert not await finish(pool, late, RESULT)
    assert await types(pool) == ["prediction.failed"]


async def test_an_outcome_that_is_rolled_back_is_not_told(pool: asyncpg.Pool, organization: Tenant) -> None:
    await add_webhook(pool, organization.organization_id, BOX, URL)
    await submit(pool, organization.organization_id)
    job = await claim_job(pool, PREDICTION)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await outcomes.finish(connection, PREDICTION, job, RESULT)
        await transaction.rollback()
    assert (await types(pool), await webhook_jobs(pool)) == ([], 0)


async def test_each_webhook_gets_the_events_it_wants_of_its_organization(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    own, theirs = organization.organization_id, other_organization.organization_id
    wanting = [await add_webhook(pool, own, BOX, URL) for _ in range(2)]
    await add_webhook(pool, own, BOX, URL, event_types=["prediction.failed"])
    await add_webhook(pool, own, BOX, URL, status="disabled")
    await add_webhook(pool, theirs, BOX, URL)
    await submit(pool, own)
    await finish(pool, await claim_job(pool, PREDICTION), RESULT)
    told = await pool.fetch("SELECT webhook_id, organization_id FROM webhook_delivery")
    assert {row["webhook_id"] for row in told} == {webhook.id for webhook in wanting}
    assert {row["organization_id"] for row in told} == {own}
    assert await webhook_jobs(pool) == 2


async def test_predictions_that_end_together_are_each_told_once_to_their_own(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    own, theirs = organization.organization_id, other_organization.organization_id
    await add_webhook(pool, own, BOX, URL)
    submitted = [await submit(pool, owner) for _ in range(20) for owner in (own, theirs)]
    async with dispatching(pool, succeed, limit=40):
        await until_ended(pool, *(job_id for job_id, _ in submitted))
    told = sorted(body["data"]["predictionId"] for _, body in await deliveries(pool))
    assert told == sorted(prediction_id for _, prediction_id in submitted[::2])
    assert await webhook_jobs(pool) == 20


async def test_without_webhooks_a_prediction_costs_no_statement_more(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    await add_webhook(pool, other_organization.organization_id, BOX, URL)
    await set_mail(pool)
    await submit(pool, organization.organization_id)
    with statements_run() as run:
        await finish(pool, await claim_job(pool, PREDICTION), RESULT)
    assert not [name for name in run if name.startswith(("webhooks.", "mail."))]
    assert await types(pool) == []


async def test_a_webhook_that_is_deleted_meanwhile_does_not_take_the_outcome_with_it(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    webhook = await add_webhook(pool, organization.organization_id, BOX, URL)
    _, prediction_id = await submit(pool, organization.organization_id)
    job = await claim_job(pool, PREDICTION)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await delete_webhook(
                connection, organization_id=organization.organization_id, webhook_id=webhook.id
            )
            finishing = asyncio.create_task(finish(pool, job, RESULT))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await until(lambda: pool.fetchval(waiting))
        assert await finishing
    status = await pool.fetchval("SELECT status FROM prediction WHERE id = $1", prediction_id)
    assert (status, await types(pool)) == ("succeeded", [])


async def test_a_cancelled_prediction_has_failed(pool: asyncpg.Pool, organization: Tenant) -> None:
    await add_webhook(pool, organization.organization_id, BOX, URL)
    _, prediction_id = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        await request_cancel(
            connection,
            PREDICTION,
            organization_id=organization.organization_id,
            subject_id=prediction_id,
        )
    assert await types(pool) == ["prediction.failed"]


@pytest.mark.parametrize("succeeds", [True, False])
async def test_data_bundles(pool: asyncpg.Pool, organization: Tenant, succeeds: bool) -> None:
    own = organization.organization_id
    await add_webhook(pool, own, BOX, URL)
    model_id = await seed_model(pool, own)
    bundle_id = await seed_data_bundle(pool, own, model_id, status="running")
    async with pool.acquire() as connection:
        await enqueue(connection, DATA_BUNDLE, organization_id=own, subject_id=bundle_id)
    job = await claim_job(pool, DATA_BUNDLE)
    if succeeds:
        await finish(pool, job, DataBundleResult(summary={}, object_key="key"))
    else:
        await fail(pool, job)
    ((event_type, body),) = await deliveries(pool)
    status = "succeeded" if succeeds else "failed"
    assert event_type == f"dataBundle.{status}"
    assert body["data"] == {"dataBundleId": bundle_id, "modelId": model_id, "status": status}


async def test_every_status_of_a_training_is_told_and_mailed_once(
    pool: asyncpg.Pool, organization: Tenant, database_url: str
) -> None:
    own = organization.organization_id
    await set_mail(pool)
    await add_webhook(pool, own, BOX, URL)
    async with pool.acquire() as connection:
        owner = await add_user(connection, own, role_ids=[ADMIN])
    job = await training_job(pool, own)
    statuses = ["preparing", "running", "running-final-evaluation"]
    for status in statuses:
        await set_training_status(database_url, job, status)
        await set_training_status(database_url, job, status)
    assert await finish(pool, job, TRAINED)
    with pytest.raises(JobCancelled):
        await set_training_status(database_url, job, "running")
    told = [*statuses, "succeeded"]
    assert await types(pool) == [f"training.{status}" for status in told]
    mails = await mailed(pool)
    assert [mail["status"] for mail in mails] == told
    assert mails[0] == {
        "to": owner.email,
        "notice": "training",
        "organization": "Test organization",
        "status": "preparing",
        "trainingId": job.subject_id,
        "training": job.subject_id,
        "modelId": mails[0]["modelId"],
        "model": mails[0]["modelId"],
    }


async def test_a_training_that_failed_and_is_tried_again(pool: asyncpg.Pool, organization: Tenant) -> None:
    await add_webhook(pool, organization.organization_id, BOX, URL)
    job = await training_job(pool, organization.organization_id)
    await fail(pool, job)
    async with pool.acquire() as connection:
        await retry_job(connection, KINDS, job.id)
        await request_cancel(
            connection,
            KINDS[job.kind],
            organization_id=organization.organization_id,
            subject_id=job.subject_id,
        )
    assert await types(pool) == ["training.failed", "training.pending", "training.cancelled"]


async def test_owners_and_the_starter_get_mail_and_others_do_not(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    own = organization.organization_id
    await set_mail(pool)
    async with pool.acquire() as connection:
        owner = await add_user(connection, own, role_ids=[ADMIN, MEMBER])
        starter = await add_user(connection, own, role_ids=[MEMBER])
        await add_user(connection, own, role_ids=[MEMBER])
        await add_user(connection, own, role_ids=[ADMIN], status="inactive")
        await add_user(connection, own, role_ids=[ADMIN], status="invite_pending")
        await add_user(connection, other_organization.organization_id, role_ids=[ADMIN])
    for started_by in (starter.user_id, owner.user_id, organization.app_client_id):
        job = await training_job(pool, own)
        await pool.execute("UPDATE training SET created_by = $2 WHERE id = $1", job.subject_id, started_by)
        await fail(pool, job)
    addresses = [mail["to"] for mail in await mailed(pool)]
    assert sorted(addresses) == sorted([owner.email, starter.email, owner.email, owner.email])


async def test_without_a_mail_server_nothing_is_queued(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        await add_user(connection, organization.organization_id, role_ids=[ADMIN])
    await fail(pool, await training_job(pool, organization.organization_id))
    await set_mail(pool, available=True)
    await set_mail(pool, available=False)
    await fail(pool, await training_job(pool, organization.organization_id))
    assert await mailed(pool) == []
