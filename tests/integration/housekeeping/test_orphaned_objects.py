"""A sweep deletes orphans and reports missing objects, also while rows and objects change."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from db.object_owners import list_documents
from pagemill.cli import main
from pagemill.housekeeping import orphaned_objects
from pagemill.housekeeping.object_ownership import OWNER_KINDS
from pagemill.housekeeping.orphaned_objects import MissingObject, ObjectSweep, SweepReport
from pagemill.ids import AssetId, DataBundleId, DocumentId, TrainingId, new_id
from pagemill.objects import ObjectStore
from pagemill.objects.keys import (
    new_asset_key,
    new_content_key,
    new_data_bundle_key,
    organization_prefix,
    training_prefix,
    words_prefix,
)
from tests.support.labelled import store_document
from tests.support.plans import most_rows_read
from tests.support.schedules import HOUR
from tests.support.seeds import seed_data_bundle, seed_model, seed_training
from tests.support.tenants import Tenant

DAY = 24 * HOUR


async def swept(
    pool: asyncpg.Pool, objects: ObjectStore, organization_id: str, *, grace: float = 0.0, delete: bool = True
) -> SweepReport:
    return await ObjectSweep(pool.acquire, objects, organization_id, grace=grace, delete=delete).run()


async def keys(objects: ObjectStore) -> set[str]:
    return {key async for key in objects.list("organizations/")}


async def seed_asset_with_object(pool: asyncpg.Pool, objects: ObjectStore, organization_id: str) -> str:
    asset_id = new_id(AssetId)
    key = new_asset_key(organization_id, asset_id)
    await objects.put(key, b"asset")
    await pool.execute(
        "INSERT INTO asset (organization_id, id, content_key, content_md5) VALUES ($1, $2, $3, 'x')",
        organization_id,
        asset_id,
        key,
    )
    return asset_id


async def seed_everything(pool: asyncpg.Pool, objects: ObjectStore, organization_id: str) -> set[str]:
    """Store one of each resource with its objects; return the keys."""
    await store_document(pool, objects, organization_id, b"content")
    await store_document(pool, objects, organization_id, None)
    content = await pool.fetchval(
        "SELECT content_key FROM document WHERE organization_id = $1 AND content_key IS NOT NULL",
        organization_id,
    )
    await objects.put(words_prefix(content, "1", "low") + "0-of-1.msgpack", b"words")
    await seed_asset_with_object(pool, objects, organization_id)
    model_id = await seed_model(pool, organization_id)
    data_bundle_id = await seed_data_bundle(pool, organization_id, model_id)
    data_set = new_data_bundle_key(organization_id, data_bundle_id)
    await objects.put(f"{data_set}part-00000-000.parquet", b"words")
    await pool.execute("UPDATE data_bundle SET object_key = $2 WHERE id = $1", data_bundle_id, data_set)
    training_id = await seed_training(pool, organization_id, model_id)
    artefact = f"{training_prefix(organization_id, training_id)}artefact/"
    await objects.put(f"{artefact}weights.safetensors", b"weights")
    await pool.execute("UPDATE training SET artefact_key = $2 WHERE id = $1", training_id, artefact)
    return {key async for key in objects.list(organization_prefix(organization_id))}


async def test_objects_with_their_rows_are_left_alone(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, other_organization: Tenant
) -> None:
    kept = await seed_everything(pool, objects, organization.organization_id)
    kept |= await seed_everything(pool, objects, other_organization.organization_id)
    report = await swept(pool, objects, organization.organization_id)
    assert report == SweepReport(organization.organization_id, objects=5, rows=5)
    assert await keys(objects) == kept


def orphans_of(organization_id: str) -> list[str]:
    document_id = new_id(DocumentId)
    content = new_content_key(organization_id, document_id)
    return sorted(
        [
            content,
            words_prefix(content, "1", "low") + "0-of-1.msgpack",
            new_asset_key(organization_id, new_id(AssetId)),
            f"{new_data_bundle_key(organization_id, new_id(DataBundleId))}part-00000-000.parquet",
            f"{training_prefix(organization_id, new_id(TrainingId))}run/x",
        ]
    )


async def test_orphans_are_deleted(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, other_organization: Tenant
) -> None:
    owner = organization.organization_id
    kept = await seed_everything(pool, objects, owner)
    kept |= await seed_everything(pool, objects, other_organization.organization_id)
    orphans = orphans_of(owner)
    for key in orphans:
        await objects.put(key, b"x")
    dry = await swept(pool, objects, owner, delete=False)
    assert (sorted(dry.orphan_keys), dry.orphans, dry.removed) == (orphans, 5, 0)
    assert await keys(objects) == kept | set(orphans)
    wet = await swept(pool, objects, owner)
    assert (wet.orphans, wet.removed, wet.missing) == (5, 5, 0)
    assert await keys(objects) == kept
    assert (await swept(pool, objects, owner)).orphans == 0


async def test_replaced_content_is_an_orphan(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    document_id = await store_document(pool, objects, owner, b"new")
    left_over = new_content_key(owner, document_id)
    await objects.put(left_over, b"old")
    await swept(pool, objects, owner)
    assert await keys(objects) == {await pool.fetchval("SELECT content_key FROM document")}


async def test_young_objects_are_left_alone(
    pool: asyncpg.Pool, objects: ObjectStore, objects_directory: Path, organization: Tenant
) -> None:
    owner = organization.organization_id
    old, young = sorted(new_content_key(owner, new_id(DocumentId)) for _ in range(2))
    for key in (old, young):
        await objects.put(key, b"x")
    yesterday = time.time() - 2 * DAY
    os.utime(objects_directory / old, (yesterday, yesterday))
    report = await swept(pool, objects, owner, grace=DAY)
    assert (report.orphan_keys, report.recent) == ([old], 1)
    assert await keys(objects) == {young}


async def test_rows_without_their_object_are_reported(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    await seed_everything(pool, objects, owner)
    await objects.delete_prefix("organizations/")
    report = await swept(pool, objects, owner)
    document = await pool.fetchrow("SELECT id, content_key FROM document WHERE content_key IS NOT NULL")
    assert report.missing == 4
    assert MissingObject(document["id"], document["content_key"]) in report.missing_objects
    assert await pool.fetchval("SELECT count(*) FROM document") == 2


async def test_objects_at_unknown_locations_are_left_alone(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    prefix = organization_prefix(organization.organization_id)
    strangers = {f"{prefix}something-new/1/x", f"{prefix}documents/stray", f"{prefix}note.txt"}
    for key in strangers:
        await objects.put(key, b"x")
    report = await swept(pool, objects, organization.organization_id)
    assert report.orphans == 0
    assert await keys(objects) == strangers


@pytest.mark.parametrize("at_once", [1, 2, 7, 1000])
@pytest.mark.parametrize("seed", range(3))
async def test_any_mixture_of_rows_and_objects_is_compared_in_batches_of_any_size(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    seed: int,
) -> None:
    monkeypatch.setattr(orphaned_objects, "PAGE_SIZE", at_once)
    monkeypatch.setattr(orphaned_objects, "SUSPECTS_BATCH_SIZE", at_once)
    owner, chance = organization.organization_id, random.Random(seed)
    kept, missing, orphans = set[str](), set[str](), set[str]()
    model_id = await seed_model(pool, owner)
    for _ in range(25):
        if chance.random() < 0.5:
            await store_document(pool, objects, owner, b"x")
        slug = "".join(chance.choice("ab-_1") for _ in range(chance.randint(1, 3)))
        key = f"{training_prefix(owner, slug)}artefact/x"
        with_row, with_object = chance.random() < 0.6, chance.random() < 0.6
        if with_row:
            await pool.execute(
                "INSERT INTO training (organization_id, id, model_id, status, artefact_key) "
                "VALUES ($1, $2, $3, 'succeeded', $4) ON CONFLICT DO NOTHING",
                owner,
                f"las:model-training:{slug}",
                model_id,
                f"{training_prefix(owner, slug)}artefact/",
            )
        if with_object:
            await objects.put(key, b"x")
    rows = {row["artefact_key"] for row in await pool.fetch("SELECT artefact_key FROM training")}
    stored = {key for key in await keys(objects) if "/trainings/" in key}
    kept = {key for key in stored if key.removesuffix("x") in rows}
    orphans = stored - kept
    missing = {row for row in rows if f"{row}x" not in stored}
    report = await swept(pool, objects, owner)
    assert set(report.orphan_keys) == orphans
    assert {one.key for one in report.missing_objects} == missing
    assert {key for key in await keys(objects) if "/trainings/" in key} == kept


class Meddling:
    """Storage that changes rows as soon as it is scanned."""

    def __init__(self, objects: ObjectStore, meddle: Any) -> None:
        self._objects, self._meddle = objects, meddle

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    async def scan(self, prefix: str) -> Any:
        async for found in self._objects.scan(prefix):
            yield found
        if prefix.endswith("documents/"):
            await self._meddle()


async def test_an_object_that_gets_its_row_during_the_sweep_stays(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner, document_id = organization.organization_id, new_id(DocumentId)
    key = new_content_key(owner, document_id)
    await objects.put(key, b"x")

    async def insert() -> None:
        await pool.execute(
            "INSERT INTO document (organization_id, id, content_key) VALUES ($1, $2, $3)",
            owner,
            document_id,
            key,
        )

    report = await swept(pool, Meddling(objects, insert), owner)  # type: ignore[arg-type]
    assert (report.orphans, await keys(objects)) == (0, {key})


async def test_an_object_that_is_replaced_during_the_sweep_is_not_missing(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    document_id = await store_document(pool, objects, owner, b"x")
    await pool.execute("UPDATE document SET content_key = content_key || '0'")
    again = new_content_key(owner, document_id)

    async def replace() -> None:
        await objects.put(again, b"y")
        await pool.execute("UPDATE document SET content_key = $1", again)

    report = await swept(pool, Meddling(objects, replace), owner)  # type: ignore[arg-type]
    assert report.missing == 0
    assert again in await keys(objects)


async def test_a_page_of_documents_reads_a_page(pool: asyncpg.Pool, organization: Tenant) -> None:
    await pool.execute(
        "INSERT INTO document (organization_id, id) SELECT $1, 'document-' || number "
        "FROM generate_series(1, 20000) AS number",
        organization.organization_id,
    )
    await pool.execute("ANALYZE document")
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection,
            list_documents,
            organization_id=organization.organization_id,
            after_id="document-5",
            limit=50,
        )
    assert read <= 60


def test_kinds_are_in_the_order_of_their_folders() -> None:
    folders = [kind.folder for kind in OWNER_KINDS]
    assert folders == sorted(folders)


async def run(database_url: str, objects_directory: Path, *arguments: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke,
        main,
        ["objects", "sweep", *arguments],
        env={"PAGEMILL_DATABASE_URL": database_url, "PAGEMILL_OBJECTS_URL": objects_directory.as_uri()},
    )


async def test_the_command(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    other_organization: Tenant,
    database_url: str,
    objects_directory: Path,
) -> None:
    owner = organization.organization_id
    key = new_content_key(owner, new_id(DocumentId))
    await objects.put(key, b"x")
    young = await run(database_url, objects_directory, "--json")
    assert [report["recent"] for report in json.loads(young.output) if report["organizationId"] == owner] == [
        1
    ]
    dry = await run(database_url, objects_directory, "--grace", "0")
    assert dry.exit_code == 0
    assert f"without a row  {key}" in dry.output
    assert await keys(objects) == {key}
    wet = await run(
        database_url, objects_directory, "--grace", "0", "--delete", "--organization", owner, "--json"
    )
    assert [report["removed"] for report in json.loads(wet.output)] == [1]
    assert await keys(objects) == set()
    await store_document(pool, objects, owner, b"x")
    await objects.delete_prefix("organizations/")
    missing = await run(database_url, objects_directory)
    assert missing.exit_code == 1
    assert "missing        organizations/" in missing.output
    unknown = await run(database_url, objects_directory, "--organization", "las:organization:none")
    assert unknown.exit_code == 1
    assert unknown.stderr == "pagemill: Organization las:organization:none not found\n"
