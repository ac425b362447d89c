"""Models: their versions, what belongs to them, and who sees those that are shared."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import pytest_asyncio
from msgspec import UNSET

from db.models import (
    ModelRow,
    delete_model,
    find_model,
    get_model,
    get_shared_model,
    insert_model,
    list_data_bundle_ids,
    list_models,
    list_models_of_owners,
    list_training_ids,
    list_unfinished_subjects,
    lock_model,
    share_model,
    update_model,
)
from db.statements import Connection
from db.trainings import TrainingStatus
from pagemill.ids import ModelId, OrganizationId, PrincipalId, TrainingId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL, ADA = ModelId("las:model:1"), PrincipalId("ada")
FIELDS = {"total": {"type": "amount"}, "date": {"type": "date"}}
UNCHANGED: dict[str, Any] = {
    **dict.fromkeys(("name", "description", "metadata", "field_config"), UNSET),
    **dict.fromkeys(("preprocess_config", "postprocess_config", "training_id"), UNSET),
    "updated_by": ADA,
}
ENDED = ("succeeded", "failed", "cancelled")


@pytest_asyncio.fixture(loop_scope="module")
async def own(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """The arguments that name a model."""
    own = {"organization_id": mine.organization_id}
    await insert(connection, "model", **own, id=MODEL, field_config=FIELDS, training_id="t1")
    return {**own, "model_id": MODEL}


async def add_parts(connection: Connection, own: dict[str, Any]) -> None:
    """Add a training in each state, and a data bundle in each."""
    for status in get_args(TrainingStatus):
        await insert(connection, "training", **own, id=f"t {status}", status=status)
    for status in ("running", "succeeded", "failed"):
        await insert(connection, "data_bundle", **own, id=f"b {status}", status=status)


async def test_a_new_model_has_no_training(connection: Connection, mine: Tenant) -> None:
    row = await insert_model(
        connection,
        organization_id=mine.organization_id,
        model_id=MODEL,
        name="Invoices",
        description=None,
        metadata={},
        field_config=FIELDS,
        preprocess_config={"maxPages": 1},
        postprocess_config={},
        created_by=ADA,
    )
    assert row == ModelRow(
        id=MODEL,
        organization_id=mine.organization_id,
        name="Invoices",
        description=None,
        metadata={},
        field_config=FIELDS,
        preprocess_config={"maxPages": 1},
        postprocess_config={},
        training_id=None,
        version=0,
        created_time=await connection.fetchval("SELECT now()"),
        created_by=ADA,
        updated_time=None,
        updated_by=None,
        number_of_data_bundles=0,
        number_of_running_trainings=0,
    )
    # Fields keep their order, which JSONB would not.
    assert list(row.field_config) == ["total", "date"]
    assert await get_model(connection, organization_id=mine.organization_id, model_id=MODEL) == row


async def test_a_model_counts_its_data_bundles_and_unfinished_trainings(
    connection: Connection, own: dict[str, Any]
) -> None:
    await add_parts(connection, own)
    page: dict[str, Any] = {"organization_id": own["organization_id"], "limit": 10}
    page |= {"after_time": None, "after_id": None}
    rows: list[Any] = [
        await get_model(connection, **own),
        await lock_model(connection, **own),
        *await list_models(connection, **page),
        *await list_models_of_owners(connection, **page, owner_ids=[own["organization_id"]]),
        await update_model(connection, **own, **UNCHANGED),
    ]
    numbers = [(row.number_of_data_bundles, row.number_of_running_trainings) for row in rows]
    assert numbers == [(3, 5)] * 5


async def test_unfinished_parts_are_those_that_jobs_may_work_for(
    connection: Connection, own: dict[str, Any]
) -> None:
    await add_parts(connection, own)
    rows = await list_unfinished_subjects(connection, **own)
    expected = {("training", f"t {status}") for status in get_args(TrainingStatus) if status not in ENDED}
    assert {(row.kind, row.id) for row in rows} == expected | {("data-bundle", "b running")}
    assert len(await list_data_bundle_ids(connection, **own)) == 3
    assert len(await list_training_ids(connection, **own)) == len(get_args(TrainingStatus))


@pytest.mark.parametrize(
    ("sent", "is_new_version"),
    [
        ({}, False),
        ({"name": "new"}, False),
        ({"postprocess_config": {"strategy": "BEST_FIRST"}}, False),
        ({"field_config": {"total": {"type": "date"}}}, True),
        ({"field_config": FIELDS}, False),
        # Another order of the same fields is the same model.
        ({"field_config": dict(reversed(FIELDS.items()))}, False),
        ({"training_id": TrainingId("t2")}, True),
        ({"training_id": TrainingId("t1")}, False),
        ({"training_id": None}, True),
        ({"field_config": {}, "training_id": None}, True),
    ],
)
async def test_other_fields_or_another_training_make_a_new_version(
    connection: Connection, own: dict[str, Any], sent: dict[str, Any], is_new_version: bool
) -> None:
    row = await update_model(connection, **own, **{**UNCHANGED, **sent})
    assert row.version == is_new_version
    if "field_config" in sent:
        assert list(row.field_config) == list(sent["field_config"])


async def test_a_model_is_deleted_with_its_parts_but_not_its_predictions(
    connection: Connection, own: dict[str, Any]
) -> None:
    await add_parts(connection, own)
    await insert(connection, "prediction", **own, id="prediction")
    assert await delete_model(connection, **own) == 1
    assert await delete_model(connection, **own) == 0
    assert await find_model(connection, **own) is None
    assert await list_training_ids(connection, **own) == await list_data_bundle_ids(connection, **own) == []
    assert await connection.fetchval("SELECT count(*) FROM prediction") == 1


async def test_a_shared_model_is_shown_to_those_who_name_its_owner(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    named = {"owner_id": own["organization_id"], "model_id": MODEL}
    assert await get_shared_model(connection, **named) is None
    assert await share_model(connection, model_id=MODEL, shared=True) == own["organization_id"]
    row = await get_shared_model(connection, **named)
    assert row is not None
    assert (row.id, row.organization_id) == (MODEL, own["organization_id"])
    wrong_owner = {**named, "owner_id": theirs.organization_id}
    assert await get_shared_model(connection, **wrong_owner) is None
    assert await find_model(connection, organization_id=theirs.organization_id, model_id=MODEL) is None
    await share_model(connection, model_id=MODEL, shared=False)
    assert await get_shared_model(connection, **named) is None
    assert await share_model(connection, model_id=ModelId("unknown"), shared=True) is None


@pytest.mark.parametrize(
    ("owners", "expected"),
    [
        (["mine"], ["private", "shared"]),
        (["theirs"], ["shared by them"]),
        (["mine", "theirs"], ["private", "shared", "shared by them"]),
        ([], []),
    ],
)
async def test_of_other_owners_only_shared_models_are_listed(
    connection: Connection, mine: Tenant, theirs: Tenant, owners: list[str], expected: list[str]
) -> None:
    organizations: dict[str, OrganizationId] = {
        "mine": mine.organization_id,
        "theirs": theirs.organization_id,
    }
    for owner, name, shared in (
        ("mine", "private", False),
        ("mine", "shared", True),
        ("theirs", "private of them", False),
        ("theirs", "shared by them", True),
    ):
        await insert(connection, "model", organization_id=organizations[owner], id=name, shared=shared)
    page = {
        "organization_id": mine.organization_id,
        "owner_ids": [organizations[owner] for owner in owners],
    }
    rows = await list_models_of_owners(connection, **page, after_time=None, after_id=None, limit=10)
    assert [row.id for row in rows] == expected
    if rows:
        after = {"after_time": rows[0].created_time, "after_id": rows[0].id}
        rest = await list_models_of_owners(connection, **page, **after, limit=10)
        assert [row.id for row in rest] == expected[1:]
