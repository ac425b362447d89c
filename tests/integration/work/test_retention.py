"""Due documents and data bundles are deleted with their objects and counts, and nothing else is."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from db.documents import delete_documents
from db.retention import list_due_data_bundles, lock_due_documents
from db.schedule import list_organizations_with_due
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.queue import enqueue
from pagemill.jobs.schedule import enqueue_scheduled
from pagemill.objects import ObjectStore
from pagemill.objects.keys import data_bundle_snapshot_key, new_data_bundle_key
from pagemill.work import retention
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.retention import RETENTION, RetentionRunner
from tests.support.labelled import store_document
from tests.support.plans import most_rows_read
from tests.support.schedules import HOUR, at, schedule_of
from tests.support.seeds import claim_job, seed_data_bundle, seed_dataset, seed_model
from tests.support.tenants import Tenant
from tests.support.working import dispatching, job_row, until, until_ended

HOURLY = schedule_of(RETENTION, HOUR)
TRUTH = [{"label": "total", "value": "1.00"}]


async def queue(pool: asyncpg.Pool) -> list[str]:
    async with pool.acquire() as connection:
        await enqueue_scheduled(connection, HOURLY, at("2026-11-25T13:47:12"))
    return [row["id"] for row in await pool.fetch("SELECT id FROM job WHERE kind = 'retention'")]


async def run(pool: asyncpg.Pool, objects: ObjectStore) -> list[str]:
    job_ids = await queue(pool)
    async with dispatching(pool, RetentionRunner(pool, objects), kinds=(RETENTION,)):
        return await until_ended(pool, *job_ids)


async def age(pool: asyncpg.Pool, table: str, row_id: str, days: float) -> None:
    """Make a row so many days old."""
    await pool.execute(
        f"UPDATE {table} SET created_time = now() - $2 * interval '1 day' WHERE id = $1", row_id, days
    )


async def store(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization_id: str,
    *,
    kept: int,
    old: float,
    dataset_id: str | None = None,
) -> str:
    """Store a document that is kept for some days, and is so many days old; return its id."""
    document_id = await store_document(
        pool, objects, organization_id, b"content", ground_truth=TRUTH, dataset_id=dataset_id
    )
    await pool.execute("UPDATE document SET retention_in_days = $2 WHERE id = $1", document_id, kept)
    await age(pool, "document", document_id, old)
    return document_id


async def left(pool: asyncpg.Pool, table: str = "document") -> set[str]:
    return {row["id"] for row in await pool.fetch(f"SELECT id FROM {table}")}


async def keys(objects: ObjectStore) -> list[str]:
    return [key async for key in objects.list("organizations/")]


async def test_documents_are_deleted_when_they_are_due(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, other_organization: Tenant
) -> None:
    own, theirs = organization.organization_id, other_organization.organization_id
    await store(pool, objects, own, kept=10, old=10.01)
    await store(pool, objects, own, kept=1, old=400)
    young = {
        await store(pool, objects, own, kept=10, old=9.99),
        await store(pool, objects, theirs, kept=1825, old=1824),
    }
    assert await run(pool, objects) == ["succeeded"]
    assert await left(pool) == young
    assert len(await keys(objects)) == 2


@pytest.mark.parametrize("batch", [1, 3, 200])
async def test_the_counters_of_the_dataset_are_updated(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    monkeypatch.setattr(retention, "REMOVAL_BATCH_SIZE", batch)
    owner = organization.organization_id
    dataset_id = await seed_dataset(pool, owner, documents=8)
    await pool.execute("UPDATE dataset SET ground_truth_summary = $2 WHERE id = $1", dataset_id, {"total": 8})
    for _ in range(7):
        await store(pool, objects, owner, kept=1, old=2, dataset_id=dataset_id)
    kept = await store(pool, objects, owner, kept=3, old=2, dataset_id=dataset_id)
    assert await run(pool, objects) == ["succeeded"]
    assert await left(pool) == {kept}
    row = await pool.fetchrow("SELECT * FROM dataset")
    assert (row["number_of_documents"], row["version"]) == (1, 8 + 7)
    assert row["ground_truth_summary"] == {"total": 1}


async def test_a_document_that_was_given_more_time_meanwhile_stays(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    document_id = await store(pool, objects, organization.organization_id, kept=1, old=2)
    await queue(pool)
    job = await claim_job(pool, RETENTION)
    async with pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("UPDATE document SET retention_in_days = 30")
        running = asyncio.create_task(RetentionRunner(pool, objects)(job))
        # It found the document due and waits for its lock.
        await until(lambda: pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        await transaction.commit()
        await running
    assert await left(pool) == {document_id}
    assert len(await keys(objects)) == 1


async def test_a_retention_job_and_a_caller_that_delete_the_same_documents_do_not_deadlock(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    ids = [await store(pool, objects, owner, kept=1, old=2 + number) for number in range(40)]
    await queue(pool)
    job = await claim_job(pool, RETENTION)

    async def delete(some: list[str]) -> int:
        async with pool.acquire() as connection:
            deleted = await delete_documents(
                connection, organization_id=owner, document_ids=some, dataset_ids=None, consent_ids=None
            )
            return len(deleted)

    await asyncio.gather(RetentionRunner(pool, objects)(job), delete(ids), delete(ids[::-1]))
    assert await left(pool) == set()


async def test_data_bundles_are_deleted_when_they_are_due(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    model_id = await seed_model(pool, owner)
    due, young = [await seed_data_bundle(pool, owner, model_id) for _ in range(2)]
    kept = new_data_bundle_key(owner, young) + "part-00000-000.parquet"
    gone = [
        new_data_bundle_key(owner, due) + "part-00000-000.parquet",
        data_bundle_snapshot_key(owner, due),
    ]
    for key in (kept, *gone):
        await objects.put(key, b"words")
    await age(pool, "data_bundle", due, 1826)
    await age(pool, "data_bundle", young, 1824)
    assert await run(pool, objects) == ["succeeded"]
    assert await left(pool, "data_bundle") == {young}
    assert await keys(objects) == [kept]


async def test_the_job_of_a_data_bundle_that_is_due_is_cancelled(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    data_bundle_id = await seed_data_bundle(pool, owner, await seed_model(pool, owner), status="running")
    async with pool.acquire() as connection:
        job_id = await enqueue(
            connection,
            DATA_BUNDLE,
            organization_id=owner,
            subject_id=data_bundle_id,
        )
    await age(pool, "data_bundle", data_bundle_id, 2000)
    await run(pool, objects)
    assert (await job_row(pool, job_id))["state"] == "cancelled"
    assert await left(pool, "data_bundle") == set()


async def test_a_data_bundle_that_is_not_due_any_more_keeps_its_job(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    data_bundle_id = await seed_data_bundle(pool, owner, await seed_model(pool, owner), status="running")
    async with pool.acquire() as connection:
        job_id = await enqueue(
            connection,
            DATA_BUNDLE,
            organization_id=owner,
            subject_id=data_bundle_id,
        )
        job = await hold_of(pool, owner)
        assert not await retention._delete_data_bundle(connection, job, data_bundle_id)
    row = await job_row(pool, job_id)
    assert (row["state"], row["cancel_requested"]) == ("queued", False)
    assert await left(pool, "data_bundle") == {data_bundle_id}


async def hold_of(pool: asyncpg.Pool, organization_id: str) -> Job:
    """Queue a retention job, claim it and return it."""
    async with pool.acquire() as connection:
        await enqueue(
            connection,
            RETENTION,
            organization_id=organization_id,
            subject_id="retention",
        )
    return await claim_job(pool, RETENTION)


async def test_a_late_worker_deletes_nothing(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    document_id = await store(pool, objects, owner, kept=1, old=2)
    data_bundle_id = await seed_data_bundle(pool, owner, await seed_model(pool, owner))
    await age(pool, "data_bundle", data_bundle_id, 2000)
    late = await hold_of(pool, owner)
    await pool.execute("UPDATE job SET attempt = attempt + 1")
    runner = RetentionRunner(pool, objects)
    with pytest.raises(JobCancelled):
        await runner(late)
    with pytest.raises(JobCancelled):
        await runner._delete_data_bundles(late)
    assert await left(pool) == {document_id}
    assert await left(pool, "data_bundle") == {data_bundle_id}


async def test_nothing_due_is_nothing_done(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    job = await hold_of(pool, organization.organization_id)
    await RetentionRunner(pool, objects)(job)


ROWS = 20_000


@pytest.fixture
async def many(pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant) -> None:
    """Many documents and bundles, of which some are due."""
    owner = organization.organization_id
    model_id = await seed_model(pool, owner)
    for table, columns, values in (
        ("document", "name", "'x'"),
        ("data_bundle", "model_id", "$3"),
    ):
        arguments: list[Any] = [owner, ROWS] + ([model_id] if "$3" in values else [])
        await pool.execute(
            f"""
            INSERT INTO {table} (organization_id, id, retention_in_days, created_time, {columns})
            SELECT $1, '{table}-' || number, 100 + number % 7,
                now() - (CASE WHEN number % 20 = 0 THEN 200 ELSE 50 END) * interval '1 day', {values}
            FROM generate_series(1, $2::integer) AS number
            """,
            *arguments,
        )
        await pool.execute(f"ANALYZE {table}")


async def test_finding_due_rows_reads_only_those(
    pool: asyncpg.Pool, organization: Tenant, many: None
) -> None:
    owner = organization.organization_id
    async with pool.acquire() as connection:
        assert await most_rows_read(connection, lock_due_documents, organization_id=owner, limit=50) <= 300
        assert await most_rows_read(connection, list_due_data_bundles, organization_id=owner, limit=50) <= 100
        assert await most_rows_read(connection, list_organizations_with_due, after="", limit=1000) <= 50
