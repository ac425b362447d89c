"""Datasets and their counters, and transformations of datasets."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from db.datasets import (
    DatasetRow,
    delete_dataset,
    get_dataset,
    insert_dataset,
    keep_dataset,
    update_counters,
)
from db.statements import Connection
from db.transformations import (
    TransformationRow,
    TransformationWorkRow,
    delete_transformation,
    end_transformation,
    find_transformation_work,
    get_transformation,
    insert_transformation,
    list_transformations,
    reopen_transformation,
)
from pagemill.ids import DatasetId, PrincipalId, TransformationId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

DATASET, TRANSFORMATION = DatasetId("las:dataset:1"), TransformationId("las:dataset-transformation:1")
ADA = PrincipalId("ada")
STATUSES = ("running", "succeeded", "failed")


@pytest_asyncio.fixture(loop_scope="module")
async def own(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """The arguments that name an organization's dataset."""
    own = {"organization_id": mine.organization_id}
    await insert(connection, "dataset", **own, id=DATASET, retention_in_days=30)
    return {**own, "dataset_id": DATASET}


async def test_a_new_dataset_is_empty(connection: Connection, mine: Tenant) -> None:
    row = await insert_dataset(
        connection,
        organization_id=mine.organization_id,
        dataset_id=DATASET,
        name="Invoices",
        description=None,
        metadata=None,
        retention_in_days=7,
        contains_pii=False,
        created_by=ADA,
    )
    assert row == DatasetRow(
        id=DATASET,
        name="Invoices",
        description=None,
        metadata=None,
        retention_in_days=7,
        contains_pii=False,
        number_of_documents=0,
        ground_truth_summary={},
        version=0,
        created_time=await connection.fetchval("SELECT now()"),
        created_by=ADA,
        updated_time=None,
        updated_by=None,
    )
    assert await get_dataset(connection, organization_id=mine.organization_id, dataset_id=DATASET) == row


@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        ({}, {"total": 2}, {"total": 2}),
        ({"total": 1}, {"total": 2, "date": 1}, {"total": 3, "date": 1}),
        ({"total": 2, "date": 1}, {"total": -1}, {"total": 1, "date": 1}),
        # A label without values is not counted any more.
        ({"total": 2, "date": 1}, {"total": -2}, {"date": 1}),
        ({"total": 1}, {"total": -2}, {}),
        ({"total": 1}, {}, {"total": 1}),
    ],
)
async def test_counters_of_labels_are_added_up(
    connection: Connection,
    own: dict[str, Any],
    before: dict[str, int],
    added: dict[str, int],
    after: dict[str, int],
) -> None:
    await connection.execute("UPDATE dataset SET ground_truth_summary = $1", before)
    labels = await update_counters(connection, **own, documents=0, changes=0, labels=added)
    dataset = await get_dataset(connection, **own)
    assert dataset is not None
    assert (dataset.ground_truth_summary, labels) == (after, len(after))


async def test_documents_and_changes_are_counted(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    for documents, changes in ((5, 1), (-2, 3)):
        await update_counters(connection, **own, documents=documents, changes=changes, labels={})
    foreign = {**own, "organization_id": theirs.organization_id}
    assert await update_counters(connection, **foreign, documents=1, changes=1, labels={"a": 1}) is None
    dataset = await get_dataset(connection, **own)
    assert dataset is not None
    assert (dataset.number_of_documents, dataset.version, dataset.updated_time) == (3, 4, None)


async def test_a_dataset_never_has_fewer_than_no_documents(
    connection: Connection, own: dict[str, Any]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await update_counters(connection, **own, documents=-1, changes=1, labels={})


async def test_a_dataset_is_deleted_with_its_transformations_but_not_with_documents(
    connection: Connection, own: dict[str, Any]
) -> None:
    assert await keep_dataset(connection, **own) == 30
    await insert(connection, "transformation", **own, id=TRANSFORMATION)
    await insert(connection, "document", **own, id="las:document:1")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with connection.transaction():
            await delete_dataset(connection, **own)
    await connection.execute("DELETE FROM document")
    assert await delete_dataset(connection, **own) == 1
    assert await delete_dataset(connection, **own) == 0
    assert await keep_dataset(connection, **own) is None
    assert await get_transformation(connection, **own, transformation_id=TRANSFORMATION) is None


async def test_a_new_transformation_runs(connection: Connection, own: dict[str, Any]) -> None:
    operations = [{"type": "remove-duplicates"}]
    row = await insert_transformation(
        connection, **own, transformation_id=TRANSFORMATION, operations=operations, created_by=ADA
    )
    now = await connection.fetchval("SELECT now()")
    expected = TransformationRow(TRANSFORMATION, DATASET, operations, "running", now, ADA, None, None)
    assert row == expected
    assert await get_transformation(connection, **own, transformation_id=TRANSFORMATION) == expected
    work = await find_transformation_work(
        connection, organization_id=own["organization_id"], transformation_id=TRANSFORMATION
    )
    assert work == TransformationWorkRow(DATASET, operations)


@pytest.mark.parametrize("status", STATUSES)
async def test_a_transformation_ends_once_and_is_tried_again_when_it_failed(
    connection: Connection, own: dict[str, Any], status: str
) -> None:
    for name in ("ends", "is reopened"):
        await insert(connection, "transformation", **own, id=name, status=status)
    organization = {"organization_id": own["organization_id"]}
    ended = await end_transformation(
        connection, **organization, transformation_id=TransformationId("ends"), status="succeeded"
    )
    reopened = await reopen_transformation(
        connection, **organization, transformation_id=TransformationId("is reopened")
    )
    assert (ended, reopened) == (status == "running", status == "failed")
    rows = await list_transformations(
        connection, **own, statuses=None, after_time=None, after_id=None, limit=10
    )
    assert [row.status for row in rows] == [
        "succeeded" if ended else status,
        "running" if reopened else status,
    ]


async def test_a_list_has_the_transformations_of_one_dataset_in_some_states(
    connection: Connection, own: dict[str, Any]
) -> None:
    await insert(connection, "dataset", organization_id=own["organization_id"], id="other")
    for status in STATUSES:
        await insert(connection, "transformation", **own, id=status, status=status)
    await insert(connection, "transformation", **{**own, "dataset_id": "other"}, id="of another dataset")
    page = {**own, "after_time": None, "after_id": None, "limit": 10}
    rows = await list_transformations(connection, **page, statuses=None)
    assert [row.id for row in rows] == sorted(STATUSES)
    rows = await list_transformations(connection, **page, statuses=["running", "failed"])
    assert [row.id for row in rows] == ["failed", "running"]


async def test_a_transformation_is_deleted_from_its_own_dataset(
    connection: Connection, own: dict[str, Any]
) -> None:
    await insert(connection, "transformation", **own, id=TRANSFORMATION)
    named = {**own, "transformation_id": TRANSFORMATION}
    other = {**named, "dataset_id": DatasetId("other")}
    assert await get_transformation(connection, **other) is None
    assert await delete_transformation(connection, **other) == 0
    assert await delete_transformation(connection, **named) == 1
