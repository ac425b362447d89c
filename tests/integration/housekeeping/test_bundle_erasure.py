"""Words and labels of deleted documents go from data bundles, and nothing else does."""

from __future__ import annotations

import asyncpg
import pytest

from pagemill.documents import bundle_files
from pagemill.documents.bundle_contents import BundleContents, BundleFile, load_contents, save_contents
from pagemill.extraction.types import Example, Page, Word
from pagemill.housekeeping.bundle_erasure import erase_deleted_documents
from pagemill.housekeeping.consents import delete_consent
from pagemill.ids import ConsentId, DataBundleId, new_id
from pagemill.jobs.queue import enqueue
from pagemill.objects import ObjectStore
from pagemill.objects.keys import data_bundle_snapshot_key, new_data_bundle_key
from pagemill.work.object_sweep import OBJECT_SWEEP, ObjectSweepRunner
from pagemill.work.predictions import PREDICTION
from tests.support.labelled import store_document
from tests.support.seeds import claim_job, seed_data_bundle, seed_model
from tests.support.tenants import Tenant


def example(name: str) -> Example:
    page = Page(0, 1.0, "text", [Word(f"word of {name}", 0.0, 0.0, 1.0, 1.0)])
    return Example(name, [page], [{"label": "total", "value": name}])


async def store_bundle(
    pool: asyncpg.Pool, objects: ObjectStore, owner: str, *files: list[str], status: str = "succeeded"
) -> str:
    """Store a data bundle with some documents in each of its files; return its key."""
    bundle_id = await seed_data_bundle(pool, owner, await seed_model(pool, owner), status=status)
    key = new_data_bundle_key(owner, DataBundleId(bundle_id))
    named = []
    for number, documents in enumerate(files):
        table = bundle_files.to_table([example(one) for one in documents])
        await objects.put(f"{key}part-{number}.parquet", bundle_files.encode(table))
        named.append(BundleFile(f"part-{number}.parquet", documents))
    await save_contents(objects, key, BundleContents(named))
    await pool.execute("UPDATE data_bundle SET object_key = $2 WHERE id = $1", bundle_id, key)
    return key


async def documents_in(objects: ObjectStore, key: str) -> list[list[str]]:
    """The documents in each file, as the contents and as the files say."""
    found = []
    for file in (await load_contents(objects, key)).files:
        table = bundle_files.decode(await objects.get(key + file.name))
        assert [one.document_id for one in bundle_files.from_table(table)] == file.documents
        found.append(file.documents)
    return found


async def test_deleted_documents_are_removed_and_others_are_left_alone(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, other_organization: Tenant
) -> None:
    owner = organization.organization_id
    kept, gone, other = [await store_document(pool, objects, owner, b"x") for _ in range(3)]
    foreign = await store_document(pool, objects, other_organization.organization_id, b"x")
    first = await store_bundle(pool, objects, owner, [kept, gone], [other])
    second = await store_bundle(pool, objects, owner, [gone], [foreign])
    elsewhere = await store_bundle(pool, objects, other_organization.organization_id, [gone])
    untouched = await objects.get(f"{first}part-1.parquet")
    await pool.execute("DELETE FROM document WHERE id = $1", gone)

    assert await erase_deleted_documents(pool.acquire, objects, owner) == 2
    assert await documents_in(objects, first) == [[kept], [other]]
    assert await documents_in(objects, second) == [[], [foreign]]
    assert await objects.get(f"{first}part-1.parquet") == untouched
    assert await documents_in(objects, elsewhere) == [[gone]]
    assert gone.encode() not in await objects.get(f"{first}part-0.parquet")
    assert await erase_deleted_documents(pool.acquire, objects, owner) == 0


async def test_documents_of_a_shared_dataset_go_from_the_bundles_of_others(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, other_organization: Tenant
) -> None:
    owner, learner = organization.organization_id, other_organization.organization_id
    kept, gone = [await store_document(pool, objects, owner, b"x") for _ in range(2)]
    bundle = await store_bundle(pool, objects, learner, [kept, gone])
    await pool.execute("UPDATE data_bundle SET owner_ids = $1 WHERE organization_id = $2", [owner], learner)
    await pool.execute("DELETE FROM document WHERE id = $1", gone)
    assert await erase_deleted_documents(pool.acquire, objects, owner) == 1
    assert await documents_in(objects, bundle) == [[kept]]
    assert await erase_deleted_documents(pool.acquire, objects, learner) == 0


@pytest.mark.parametrize("kind", ["running", "missing", "former"])
async def test_bundles_without_a_data_set_are_left_alone(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, kind: str
) -> None:
    owner = organization.organization_id
    status = "running" if kind == "running" else "succeeded"
    key = await store_bundle(pool, objects, owner, ["gone"], status=status)
    if kind == "missing":
        await objects.delete_prefix(key)
    if kind == "former":
        snapshot = data_bundle_snapshot_key(owner, new_id(DataBundleId))
        await pool.execute("UPDATE data_bundle SET object_key = $1", snapshot)
    assert await erase_deleted_documents(pool.acquire, objects, owner) == 0


async def test_the_daily_sweep_removes_them(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    key = await store_bundle(pool, objects, owner, ["gone"])
    async with pool.acquire() as connection:
        await enqueue(connection, OBJECT_SWEEP, organization_id=owner, subject_id=owner)
    await ObjectSweepRunner(pool, objects, grace=0.0)(await claim_job(pool, OBJECT_SWEEP))
    assert await documents_in(objects, key) == [[]]


async def test_a_deleted_consent_takes_its_documents_out_of_bundles(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner, consent_id = organization.organization_id, new_id(ConsentId)
    kept, gone = [await store_document(pool, objects, owner, b"x") for _ in range(2)]
    await pool.execute("UPDATE document SET consent_id = $2 WHERE id = $1", gone, consent_id)
    key = await store_bundle(pool, objects, owner, [kept, gone])
    async with pool.acquire() as connection:
        await delete_consent(connection, objects, owner, consent_id, prediction=PREDICTION, patience=0)
    assert await documents_in(objects, key) == [[kept]]
