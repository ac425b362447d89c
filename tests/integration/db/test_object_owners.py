"""Rows of object owners: the key that each names, and whether anything of it is kept."""

from __future__ import annotations

import asyncpg
import pytest

from db.object_owners import ObjectOwnerRow, find_trainings, list_data_bundles, list_documents, list_trainings
from tests.support.seeds import seed_data_bundle, seed_document, seed_model, seed_training
from tests.support.tenants import Tenant


@pytest.mark.parametrize(
    ("status", "discarded"),
    [("running", False), ("succeeded", False), ("failed", True), ("cancelled", True)],
)
async def test_failed_and_cancelled_trainings_are_discarded(
    pool: asyncpg.Pool, organization: Tenant, status: str, discarded: bool
) -> None:
    owner = organization.organization_id
    training_id = await seed_training(pool, owner, await seed_model(pool, owner), status=status)
    await pool.execute("UPDATE training SET artefact_key = 'some/artefact/'")
    expected = [ObjectOwnerRow(training_id, "some/artefact/", discarded)]
    async with pool.acquire() as connection:
        listed = await list_trainings(connection, organization_id=owner, after_id="", limit=10)
        found = await find_trainings(connection, organization_id=owner, owner_ids=[training_id])
    assert listed == found == expected


async def test_a_row_without_an_object_names_none(pool: asyncpg.Pool, organization: Tenant) -> None:
    owner = organization.organization_id
    empty = await seed_document(pool, owner, content=False)
    data_bundle_id = await seed_data_bundle(pool, owner, await seed_model(pool, owner), status="running")
    async with pool.acquire() as connection:
        documents = await list_documents(connection, organization_id=owner, after_id="", limit=10)
        data_bundles = await list_data_bundles(connection, organization_id=owner, after_id="", limit=10)
    assert documents == [ObjectOwnerRow(empty, None, False)]
    assert data_bundles == [ObjectOwnerRow(data_bundle_id, None, False)]
