"""Data bundles: snapshots of datasets, and their states."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from db.data_bundles import (
    DataBundleRow,
    DataBundleStatusRow,
    delete_data_bundle,
    fail_data_bundle,
    get_data_bundle,
    get_data_bundle_input,
    insert_data_bundle,
    keep_data_bundles,
    list_data_bundle_keys,
    list_data_bundles,
    list_datasets_to_bundle,
    reopen_data_bundle,
    restart_data_bundle,
    set_data_bundle_progress,
    succeed_data_bundle,
)
from db.statements import Connection
from pagemill.ids import DataBundleId, DatasetId, JobId, ModelId, PrincipalId
from tests.support.everything import insert
from tests.support.seeds import bundled_dataset
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUNDLE, MODEL = DataBundleId("las:model-data-bundle:1"), ModelId("las:model:1")
DATASETS = [bundled_dataset("las:dataset:1", documents=3)]
STATUSES = ("running", "succeeded", "failed")


@pytest_asyncio.fixture(loop_scope="module")
async def own(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """The arguments that name an organization with two models."""
    own = {"organization_id": mine.organization_id}
    await insert(connection, "model", **own, id=MODEL, field_config={"total": {"type": "amount"}})
    await insert(connection, "model", **own, id="other model")
    return own


async def add(connection: Connection, own: dict[str, Any], name: str = BUNDLE, **values: Any) -> str:
    return await insert(connection, "data_bundle", **own, **{"id": name, "model_id": MODEL, **values})


async def get(connection: Connection, own: dict[str, Any]) -> DataBundleRow:
    row = await get_data_bundle(connection, **own, model_id=MODEL, data_bundle_id=BUNDLE)
    assert row is not None
    return row


async def test_a_new_data_bundle_runs(connection: Connection, own: dict[str, Any]) -> None:
    row = await insert_data_bundle(
        connection,
        **own,
        data_bundle_id=BUNDLE,
        model_id=MODEL,
        name=None,
        description="All",
        datasets=DATASETS,
        owner_ids=[],
        retention_in_days=30,
        created_by=PrincipalId("ada"),
    )
    assert row == DataBundleRow(
        id=BUNDLE,
        model_id=MODEL,
        name=None,
        description="All",
        datasets=DATASETS,
        summary=None,
        status="running",
        documents=None,
        documents_read=None,
        object_key=None,
        owner_ids=[],
        retention_in_days=30,
        created_time=await connection.fetchval("SELECT now()"),
        created_by=PrincipalId("ada"),
        updated_time=None,
        updated_by=None,
    )
    assert await get(connection, own) == row
    work = await get_data_bundle_input(connection, **own, data_bundle_id=BUNDLE)
    assert work is not None
    assert (work.datasets, work.field_config) == (DATASETS, {"total": {"type": "amount"}})


@pytest.mark.parametrize(
    ("status", "state", "attempt", "written"),
    [
        ("running", "running", 2, 1),
        ("running", "running", 1, 0),
        ("running", "queued", 2, 0),
        ("failed", "running", 2, 0),
    ],
)
async def test_progress_is_that_of_the_attempt_that_counts(
    connection: Connection, own: dict[str, Any], status: str, state: str, attempt: int, written: int
) -> None:
    await add(connection, own, status=status)
    await insert(
        connection, "job", **own, id="job", kind="data-bundle", subject_id=BUNDLE, state=state, attempt=2
    )
    touched = await set_data_bundle_progress(
        connection,
        **own,
        data_bundle_id=BUNDLE,
        documents=10,
        documents_read=3,
        job_id=JobId("job"),
        attempt=attempt,
    )
    row = await get(connection, own)
    assert (touched, row.documents_read) == (written, 3 if written else None)


async def test_all_documents_of_a_bundle_that_succeeds_have_been_read_and_none_when_it_begins_again(
    connection: Connection, own: dict[str, Any]
) -> None:
    await add(connection, own, status="running", documents=10, documents_read=3)
    await succeed_data_bundle(connection, **own, data_bundle_id=BUNDLE, summary={}, object_key="key")
    assert (await get(connection, own)).documents_read == 10
    named = {**own, "model_id": MODEL, "data_bundle_id": BUNDLE}
    await restart_data_bundle(connection, **named, datasets=DATASETS, retention_in_days=7)
    row = await get(connection, own)
    assert (row.documents, row.documents_read) == (None, None)


@pytest.mark.parametrize("status", STATUSES)
async def test_a_data_bundle_ends_once_and_is_tried_again_when_it_failed(
    connection: Connection, own: dict[str, Any], status: str
) -> None:
    await add(connection, own, status=status)
    for name in ("fails", "is reopened"):
        await add(connection, own, name, status=status)
    result = {"summary": {"pages": 3}, "object_key": "some/key"}
    succeeded = await succeed_data_bundle(connection, **own, data_bundle_id=BUNDLE, **result)
    failed = await fail_data_bundle(connection, **own, data_bundle_id=DataBundleId("fails"))
    reopened = await reopen_data_bundle(connection, **own, data_bundle_id=DataBundleId("is reopened"))
    ran = status == "running"
    assert succeeded == (DataBundleStatusRow(BUNDLE, MODEL, "succeeded") if ran else None)
    assert failed == (DataBundleStatusRow(DataBundleId("fails"), MODEL, "failed") if ran else None)
    assert (reopened is not None) == (status == "failed")
    row = await get(connection, own)
    assert (row.summary, row.object_key) == (({"pages": 3}, "some/key") if ran else (None, None))


async def test_a_restarted_data_bundle_keeps_its_object_until_there_is_another(
    connection: Connection, own: dict[str, Any]
) -> None:
    await add(connection, own, status="succeeded", summary={"pages": 3}, object_key="old key")
    named = {**own, "model_id": MODEL, "data_bundle_id": BUNDLE}
    touched = await restart_data_bundle(connection, **named, datasets=DATASETS, retention_in_days=7)
    row = await get(connection, own)
    assert (touched, row.status, row.summary) == (1, "running", None)
    assert (row.datasets, row.retention_in_days, row.object_key) == (DATASETS, 7, "old key")


@pytest.mark.parametrize("model_id", ["other model", "unknown model"])
async def test_a_data_bundle_is_reached_by_its_own_model_only(
    connection: Connection, own: dict[str, Any], model_id: ModelId
) -> None:
    await add(connection, own)
    named = {**own, "model_id": model_id, "data_bundle_id": BUNDLE}
    assert await get_data_bundle(connection, **named) is None
    assert await restart_data_bundle(connection, **named, datasets=[], retention_in_days=1) == 0
    assert await delete_data_bundle(connection, **named) == 0
    kept = await keep_data_bundles(connection, **own, model_id=model_id, data_bundle_ids=[BUNDLE])
    assert kept == []
    assert await delete_data_bundle(connection, **{**named, "model_id": MODEL}) == 1


async def test_snapshots_are_listed_oldest_first_and_only_where_there_are_some(
    connection: Connection, own: dict[str, Any]
) -> None:
    start = await connection.fetchval("SELECT now()")
    day = await connection.fetchval("SELECT interval '1 day'")
    for name, age, key in (("new", 1, "key of new"), ("old", 2, "key of old"), ("none", 3, None)):
        await add(connection, own, name, object_key=key, created_time=start - age * day)
    ids = [DataBundleId(name) for name in ("none", "new", "old", "unknown")]
    keys = await list_data_bundle_keys(connection, **own, data_bundle_ids=ids)
    assert keys == ["key of old", "key of new"]


async def test_a_list_has_the_data_bundles_of_one_model_in_some_states(
    connection: Connection, own: dict[str, Any]
) -> None:
    for status in STATUSES:
        await add(connection, own, status, status=status)
    await add(connection, own, "of another model", model_id="other model")
    listed = {**own, "model_id": MODEL, "after_time": None, "after_id": None, "limit": 100}
    rows = await list_data_bundles(connection, **listed, statuses=None)
    assert [(row.id, row.rows_in_page) for row in rows] == [(status, 3) for status in sorted(STATUSES)]
    rows = await list_data_bundles(connection, **listed, statuses=["failed"])
    assert [row.id for row in rows] == ["failed"]


async def test_only_datasets_of_the_organization_are_bundled(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    await insert(connection, "dataset", **own, id="mine", number_of_documents=2)
    await insert(connection, "dataset", organization_id=theirs.organization_id, id="theirs")
    ids = [DatasetId(name) for name in ("mine", "theirs", "unknown")]
    rows = await list_datasets_to_bundle(connection, **own, owner_ids=[], dataset_ids=ids)
    assert [(row.id, row.number_of_documents) for row in rows] == [("mine", 2)]
