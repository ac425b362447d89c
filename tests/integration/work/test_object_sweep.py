"""The scheduled sweep deletes an organization's orphaned objects, unless they are too many."""

from __future__ import annotations

import asyncpg
import pytest

from pagemill.housekeeping.orphaned_objects import SweepReport
from pagemill.ids import DocumentId, new_id
from pagemill.jobs.schedule import enqueue_scheduled
from pagemill.objects import ObjectStore
from pagemill.objects.keys import new_content_key
from pagemill.work import object_sweep
from pagemill.work.object_sweep import OBJECT_SWEEP, ObjectSweepRunner, is_suspicious
from tests.support.labelled import store_document
from tests.support.schedules import HOUR, at, schedule_of
from tests.support.seeds import claim_job
from tests.support.tenants import Tenant
from tests.support.working import dispatching, job_row, until_ended

DAY = 24 * HOUR


async def keys(objects: ObjectStore) -> set[str]:
    return {key async for key in objects.list("organizations/")}


async def store_orphans(objects: ObjectStore, organization_id: str, number: int) -> set[str]:
    """Objects of documents that have no row."""
    orphans = {new_content_key(organization_id, new_id(DocumentId)) for _ in range(number)}
    for key in orphans:
        await objects.put(key, b"x")
    return orphans


async def queue(pool: asyncpg.Pool) -> str:
    async with pool.acquire() as connection:
        schedule = schedule_of(OBJECT_SWEEP, DAY)
        assert await enqueue_scheduled(connection, schedule, at("2026-11-25T13:47:12")) == 1
    return str(await pool.fetchval("SELECT id FROM job"))


async def test_the_scheduled_sweep_deletes_orphans(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    await store_document(pool, objects, organization.organization_id, b"content")
    kept = await keys(objects)
    await store_orphans(objects, organization.organization_id, 5)
    job_id = await queue(pool)
    async with dispatching(pool, ObjectSweepRunner(pool, objects, grace=0.0), kinds=(OBJECT_SWEEP,)):
        assert await until_ended(pool, job_id) == ["succeeded"]
    assert await keys(objects) == kept


async def test_the_scheduled_sweep_fails_if_it_would_delete_most_objects(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_sweep, "UNSUSPICIOUS_ORPHANS", 3)
    orphans = await store_orphans(objects, organization.organization_id, 5)
    job_id = await queue(pool)
    async with dispatching(pool, ObjectSweepRunner(pool, objects, grace=0.0), kinds=(OBJECT_SWEEP,)):
        assert await until_ended(pool, job_id) == ["failed"]
    row = await job_row(pool, job_id)
    assert (row["error_class"], row["retryable"], row["attempt"]) == ("JobFailed", False, 1)
    assert "5 of 5 objects have no row" in row["error_message"]
    assert await keys(objects) == orphans


async def test_missing_objects_are_logged(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    await store_document(pool, objects, organization.organization_id, b"x")
    await objects.delete_prefix("organizations/")
    await queue(pool)
    await ObjectSweepRunner(pool, objects, grace=0.0)(await claim_job(pool, OBJECT_SWEEP))
    assert "1 rows miss their object" in caplog.text


@pytest.mark.parametrize(
    ("orphans", "objects", "suspicious"), [(100, 100, False), (101, 150, True), (101, 1000, False)]
)
def test_how_many_orphans_are_suspicious(orphans: int, objects: int, suspicious: bool) -> None:
    assert is_suspicious(SweepReport("o", orphans=orphans, objects=objects)) is suspicious
