"""A real dispatcher removes duplicates once, also while documents change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from db.documents import DuplicateRow
from pagemill.documents.dataset_counters import count_in_dataset
from pagemill.ids import DatasetId, DocumentId, TransformationId, new_id
from pagemill.jobs import leases
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.objects.keys import new_content_key
from pagemill.work import transformations
from pagemill.work.transformations import TRANSFORMATION, TransformationRunner
from tests.support.tenants import Tenant
from tests.support.working import dispatching, until, until_ended

TRUTH = [{"label": "total", "value": "1.00"}]


async def seed(
    pool: asyncpg.Pool, objects: ObjectStore, tenant: Tenant, contents: str
) -> tuple[str, list[str]]:
    """Store a dataset with a labelled document for each letter; "-" is one without content."""
    organization_id, dataset_id = tenant.organization_id, new_id(DatasetId)
    await pool.execute(
        "INSERT INTO dataset (organization_id, id) VALUES ($1, $2)", organization_id, dataset_id
    )
    ids = [await add(pool, objects, organization_id, dataset_id, letter) for letter in contents]
    return dataset_id, ids


async def add(
    pool: asyncpg.Pool, objects: ObjectStore, organization_id: str, dataset_id: str, letter: str
) -> str:
    document_id = new_id(DocumentId)
    key = None if letter == "-" else new_content_key(organization_id, document_id)
    if key is not None:
        await objects.put(key, letter.encode())
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """
            INSERT INTO document (organization_id, id, dataset_id, content_key, content_md5, ground_truth)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            organization_id,
            document_id,
            dataset_id,
            key,
            None if key is None else letter,
            TRUTH,
        )
        await count_in_dataset(connection, organization_id, dataset_id, documents=1, after=TRUTH)
    return document_id


async def transform(
    pool: asyncpg.Pool, organization_id: str, dataset_id: str, *, operations: Sequence[Any] | None = None
) -> tuple[str, str]:
    """Queue a transformation like the API; return the ids of the job and of the transformation."""
    transformation_id = new_id(TransformationId)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """
            INSERT INTO transformation (organization_id, id, dataset_id, operations)
            VALUES ($1, $2, $3, $4)
            """,
            organization_id,
            transformation_id,
            dataset_id,
            [{"type": "remove-duplicates"}] if operations is None else operations,
        )
        job_id = await enqueue(
            connection,
            TRANSFORMATION,
            organization_id=organization_id,
            subject_id=transformation_id,
        )
    return job_id, transformation_id


async def left(pool: asyncpg.Pool, dataset_id: str) -> list[str]:
    rows = await pool.fetch(
        "SELECT id FROM document WHERE dataset_id = $1 ORDER BY created_time, id", dataset_id
    )
    return [row["id"] for row in rows]


async def counters(pool: asyncpg.Pool, dataset_id: str) -> tuple[int, int, dict[str, int]]:
    row = await pool.fetchrow(
        "SELECT number_of_documents, version, ground_truth_summary FROM dataset WHERE id = $1", dataset_id
    )
    return tuple(row)


async def status(pool: asyncpg.Pool, transformation_id: str) -> str:
    return str(await pool.fetchval("SELECT status FROM transformation WHERE id = $1", transformation_id))


async def claimed(pool: asyncpg.Pool) -> Job:
    async with pool.acquire() as connection:
        (job,) = await leases.claim(connection, TRANSFORMATION, owner="test", lease=60.0, limit=1)
    return job


async def run(pool: asyncpg.Pool, objects: ObjectStore, *job_ids: str) -> list[str]:
    async with dispatching(pool, TransformationRunner(pool, objects), kinds=(TRANSFORMATION,)):
        return await until_ended(pool, *job_ids)


async def test_the_oldest_of_each_content_is_kept(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    dataset_id, ids = await seed(pool, objects, organization, "abab-c-a")
    elsewhere, others = await seed(pool, objects, organization, "a")
    keys = {row["id"]: row["content_key"] for row in await pool.fetch("SELECT id, content_key FROM document")}
    job_id, transformation_id = await transform(pool, organization.organization_id, dataset_id)
    assert await run(pool, objects, job_id) == ["succeeded"]
    kept = [ids[index] for index in (0, 1, 4, 5, 6)]
    assert await left(pool, dataset_id) == kept
    assert await left(pool, elsewhere) == others
    assert await counters(pool, dataset_id) == (5, 8 + 3, {"total": 5})
    assert await status(pool, transformation_id) == "succeeded"
    for document_id, key in keys.items():
        if key is not None and document_id in (*kept, *others):
            assert await objects.get(key)
        elif key is not None:
            with pytest.raises(ObjectMissing):
                await objects.get(key)


async def test_without_operations_nothing_is_removed(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    dataset_id, ids = await seed(pool, objects, organization, "aa")
    job_id, _ = await transform(pool, organization.organization_id, dataset_id, operations=[])
    assert await run(pool, objects, job_id) == ["succeeded"]
    assert await left(pool, dataset_id) == ids


async def test_another_organizations_documents_stay(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, other_organization: Tenant
) -> None:
    theirs, ids = await seed(pool, objects, other_organization, "aa")
    job_id, _ = await transform(pool, organization.organization_id, theirs)
    assert await run(pool, objects, job_id) == ["succeeded"]
    assert await left(pool, theirs) == ids


@pytest.mark.parametrize("found", [1, 2, 1000])
async def test_many_batches_leave_one_of_each(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    found: int,
) -> None:
    monkeypatch.setattr(transformations, "SEARCH_BATCH_SIZE", found)
    monkeypatch.setattr(transformations, "REMOVAL_BATCH_SIZE", 2)
    dataset_id, ids = await seed(pool, objects, organization, "abc" * 4)
    jobs = [(await transform(pool, organization.organization_id, dataset_id))[0] for _ in range(2)]
    assert await run(pool, objects, *jobs) == ["succeeded"] * 2
    assert await left(pool, dataset_id) == ids[:3]
    assert await counters(pool, dataset_id) == (3, 12 + 9, {"total": 3})


async def test_a_late_worker_deletes_nothing(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    dataset_id, ids = await seed(pool, objects, organization, "aa")
    job_id, _ = await transform(pool, organization.organization_id, dataset_id)
    late = await claimed(pool)
    await pool.execute("UPDATE job SET attempt = attempt + 1 WHERE id = $1", job_id)
    with pytest.raises(JobCancelled):
        await TransformationRunner(pool, objects)(late)
    assert await left(pool, dataset_id) == ids


async def test_an_attempt_continues_after_a_killed_one(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformations, "REMOVAL_BATCH_SIZE", 1)
    dataset_id, ids = await seed(pool, objects, organization, "aaaa")
    job_id, _ = await transform(pool, organization.organization_id, dataset_id)
    killed = await claimed(pool)
    runner = TransformationRunner(pool, objects)
    await runner._delete_batch(killed, dataset_id, [DuplicateRow(ids[2], ids[0])])
    await pool.execute("UPDATE job SET lease_expires = now() - interval '1 s' WHERE id = $1", job_id)
    assert await run(pool, objects, job_id) == ["succeeded"]
    assert await left(pool, dataset_id) == ids[:1]
    assert await counters(pool, dataset_id) == (1, 4 + 3, {"total": 1})


class Gate:
    """Object storage whose deletions wait until they are released."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def delete_prefix(self, prefix: str) -> int:
        self.reached.set()
        await self.open.wait()
        return await self._objects.delete_prefix(prefix)


async def test_a_cancelled_transformation_finishes_its_batch(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformations, "REMOVAL_BATCH_SIZE", 1)
    dataset_id, _ = await seed(pool, objects, organization, "aaa")
    keys = [row["content_key"] for row in await pool.fetch("SELECT content_key FROM document")]
    job_id, transformation_id = await transform(pool, organization.organization_id, dataset_id)
    gate = Gate(objects)
    runner = TransformationRunner(pool, gate)  # type: ignore[arg-type]
    async with dispatching(pool, runner, kinds=(TRANSFORMATION,)) as dispatcher:
        await asyncio.wait_for(gate.reached.wait(), 60)
        async with pool.acquire() as connection:
            assert await request_cancel(
                connection,
                TRANSFORMATION,
                organization_id=organization.organization_id,
                subject_id=transformation_id,
            )
        assert await status(pool, transformation_id) == "failed"
        gate.open.set()

        async def let_go() -> bool:
            return not dispatcher.running

        await until(let_go)
    assert await until_ended(pool, job_id) == ["cancelled"]
    assert len(await left(pool, dataset_id)) == 2
    assert (await counters(pool, dataset_id))[0] == 2
    present = 0
    for one in keys:
        try:
            present += bool(await objects.get(one))
        except ObjectMissing:
            continue
    assert present == 2


async def test_a_duplicate_whose_original_is_deleted_or_changed_stays(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    dataset_id, ids = await seed(pool, objects, organization, "aaaa")
    await transform(pool, organization.organization_id, dataset_id)
    runner, job = TransformationRunner(pool, objects), await claimed(pool)
    await pool.execute("UPDATE document SET content_md5 = 'b' WHERE id = $1", ids[0])
    await pool.execute("UPDATE document SET content_md5 = NULL WHERE id = $1", ids[3])
    unknown = new_id(DocumentId)
    await runner._delete_batch(
        job,
        dataset_id,
        [DuplicateRow(ids[1], ids[0]), DuplicateRow(ids[2], unknown), DuplicateRow(ids[3], ids[1])],
    )
    assert await left(pool, dataset_id) == ids
    await runner._delete_batch(job, dataset_id, [DuplicateRow(ids[2], ids[1])])
    assert await left(pool, dataset_id) == [ids[0], ids[1], ids[3]]


async def test_a_deleted_transformation_fails_only_its_job(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    dataset_id, ids = await seed(pool, objects, organization, "aa")
    job_id, transformation_id = await transform(pool, organization.organization_id, dataset_id)
    await pool.execute("DELETE FROM transformation WHERE id = $1", transformation_id)
    assert await run(pool, objects, job_id) == ["failed"]
    assert await left(pool, dataset_id) == ids


async def test_an_expired_original_does_not_count(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    dataset_id, ids = await seed(pool, objects, organization, "aaa")
    await pool.execute("UPDATE document SET created_time = now() - interval '6 y' WHERE id = $1", ids[0])
    job_id, _ = await transform(pool, organization.organization_id, dataset_id)
    assert await run(pool, objects, job_id) == ["succeeded"]
    assert await left(pool, dataset_id) == ids[:2]
