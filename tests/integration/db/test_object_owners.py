"""Rows of object owners: the key that each names, and whether anything of it is kept."""

from __future__ import annotations

import asyncpg
import pytest

from db.object_owners import (
    ObjectOwnerRow,
    find_assets,
    find_data_bundles,
    find_documents,
    find_trainings,
    list_assets,
    list_data_bundles,
    list_documents,
    list_trainings,
)
from db.statements import Statement
from tests.support.everything import insert
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


@pytest.mark.parametrize(
    ("table", "list_owners", "find_owners"),
    [
        ("document", list_documents, find_documents),
        ("asset", list_assets, find_assets),
        ("data_bundle", list_data_bundles, find_data_bundles),
        ("training", list_trainings, find_trainings),
    ],
)
async def test_owners_are_listed_in_the_order_of_their_keys(
    pool: asyncpg.Pool,
    organization: Tenant,
    other_organization: Tenant,
    table: str,
    list_owners: Statement[..., list[ObjectOwnerRow]],
    find_owners: Statement[..., list[ObjectOwnerRow]],
) -> None:
    """Keys are sorted by their bytes; after the id of a training follows a slash."""
    for owner in (organization, other_organization):
        own = {"organization_id": owner.organization_id}
        prefix = "" if owner is organization else "z"
        await insert(pool, "model", **own, id=f"{prefix}model")
        of_model = {"model_id": f"{prefix}model"} if table in ("data_bundle", "training") else {}
        for name in ("b", "a", "a-b", "a/b", "B", "é", "_"):
            await insert(pool, table, **own, **of_model, id=prefix + name)
    keys = [f"{name}/" if table == "training" else name for name in ("b", "a", "a-b", "a/b", "B", "é", "_")]
    expected = [key.removesuffix("/") for key in sorted(keys, key=str.encode)]
    arguments = {"organization_id": organization.organization_id}
    async with pool.acquire() as connection:
        for limit in (1, 3, 10):
            listed: list[str] = []
            while rows := await list_owners(
                connection, **arguments, after_id=listed[-1] if listed else "", limit=limit
            ):
                listed += [row.id for row in rows]
            assert listed == expected
        found = await find_owners(connection, **arguments, owner_ids=["a", "B", "zb", "unknown"])
    assert sorted(row.id for row in found) == ["B", "a"]
