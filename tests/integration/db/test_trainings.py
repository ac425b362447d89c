"""Trainings: their states, and the attempts that may still write."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import pytest_asyncio

from db.statements import Connection
from db.trainings import (
    TrainingInputRow,
    TrainingRow,
    TrainingStatus,
    advance_training,
    cancel_unapproved_training,
    end_training,
    find_current_attempt,
    find_succeeded_training,
    find_succeeded_training_of_model,
    get_training,
    get_training_input,
    insert_training,
    list_trainings,
    reopen_training,
    return_training_to_pending,
    succeed_training,
)
from pagemill.ids import DataBundleId, JobId, ModelId, PrincipalId, TrainingId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRAINING, MODEL, JOB = TrainingId("las:model-training:1"), ModelId("las:model:1"), JobId("job")
STATUSES: tuple[TrainingStatus, ...] = get_args(TrainingStatus)
ENDED = ("succeeded", "failed", "cancelled")


@pytest_asyncio.fixture(loop_scope="module")
async def own(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """The arguments that name an organization with a model."""
    await insert(
        connection,
        "model",
        organization_id=mine.organization_id,
        id=MODEL,
        field_config={"total": {"type": "amount"}},
        preprocess_config={"maxPages": 3},
    )
    return {"organization_id": mine.organization_id}


async def add(connection: Connection, own: dict[str, Any], name: str = TRAINING, **values: Any) -> str:
    return await insert(connection, "training", **own, **{"id": name, "model_id": MODEL, **values})


async def status_of(connection: Connection, own: dict[str, Any]) -> TrainingStatus:
    row = await get_training(connection, **own, model_id=MODEL, training_id=TRAINING)
    assert row is not None
    return row.status


async def test_a_new_training_has_no_result(connection: Connection, own: dict[str, Any]) -> None:
    row = await insert_training(
        connection,
        **own,
        training_id=TRAINING,
        model_id=MODEL,
        name="Invoices",
        description=None,
        metadata={"team": "a"},
        data_bundle_ids=[DataBundleId("b1"), DataBundleId("b2")],
        warm_start_config=None,
        instance_type="small-gpu",
        data_scientist_assistance=False,
        status="pending",
        created_by=PrincipalId("ada"),
    )
    assert row == TrainingRow(
        id=TRAINING,
        model_id=MODEL,
        name="Invoices",
        description=None,
        metadata={"team": "a"},
        data_bundle_ids=[DataBundleId("b1"), DataBundleId("b2")],
        warm_start_config=None,
        instance_type="small-gpu",
        data_scientist_assistance=False,
        deployment_environment_id=None,
        status="pending",
        evaluation={},
        gpu_hours=None,
        artefact_key=None,
        progress=None,
        error=None,
        created_time=await connection.fetchval("SELECT now()"),
        created_by=PrincipalId("ada"),
        updated_time=None,
        updated_by=None,
    )
    assert await get_training(connection, **own, model_id=MODEL, training_id=TRAINING) == row
    assert await get_training(connection, **own, model_id=ModelId("other"), training_id=TRAINING) is None


@pytest.mark.parametrize("status", STATUSES)
async def test_a_training_ends_once(
    connection: Connection, own: dict[str, Any], status: TrainingStatus
) -> None:
    await add(connection, own, status=status)
    row = await end_training(connection, **own, training_id=TRAINING, status="failed", error="It broke")
    assert (row is None) == (status in ENDED)
    assert await status_of(connection, own) == (status if row is None else "failed")
    if row is not None:
        assert (row.id, row.model_id, row.status) == (TRAINING, MODEL, "failed")
    assert await end_training(connection, **own, training_id=TRAINING, status="cancelled", error=None) is None


@pytest.mark.parametrize("status", STATUSES)
async def test_a_result_is_written_to_a_training_that_has_not_ended(
    connection: Connection, own: dict[str, Any], status: TrainingStatus
) -> None:
    await add(connection, own, status=status)
    row = await succeed_training(
        connection,
        **own,
        training_id=TRAINING,
        evaluation={"accuracy": 0.9},
        artefact_key="some/artefact/",
        gpu_hours=0.5,
    )
    training = await get_training(connection, **own, model_id=MODEL, training_id=TRAINING)
    assert training is not None
    assert (row is None) == (status in ENDED)
    result = (training.evaluation, training.artefact_key, training.gpu_hours)
    assert result == (({"accuracy": 0.9}, "some/artefact/", 0.5) if row else ({}, None, None))


@pytest.mark.parametrize("status", STATUSES)
async def test_what_may_be_approved_or_tried_again(
    connection: Connection, own: dict[str, Any], status: TrainingStatus
) -> None:
    await add(connection, own, status=status)
    await add(connection, own, "cancelled at once", status=status)
    cancelled = await cancel_unapproved_training(
        connection, **own, model_id=MODEL, training_id=TrainingId("cancelled at once")
    )
    assert (cancelled is not None) == (status == "waiting-for-approval")
    reopened = await reopen_training(connection, **own, training_id=TRAINING)
    assert (reopened is not None) == (status == "failed")
    assert await status_of(connection, own) == ("pending" if reopened else status)


@pytest.mark.parametrize(
    ("job", "may_write"),
    [
        ({}, True),
        ({"attempt": 2}, False),
        ({"state": "queued"}, False),
        ({"state": "succeeded"}, False),
        ({"cancel_requested": True}, False),
        ({"id": "another job"}, False),
    ],
)
async def test_only_the_current_attempt_of_a_job_writes(
    connection: Connection, own: dict[str, Any], job: dict[str, Any], may_write: bool
) -> None:
    await add(connection, own, status="preparing")
    await insert(connection, "job", **own, **{"id": JOB, "state": "running", "attempt": 1, **job})
    attempt = {**own, "job_id": JOB, "attempt": 1}
    assert (await find_current_attempt(connection, **attempt) == JOB) == may_write
    row = await advance_training(connection, **attempt, training_id=TRAINING, status="running")
    assert (row is not None) == may_write
    assert await status_of(connection, own) == ("running" if may_write else "preparing")


@pytest.mark.parametrize("status", STATUSES)
async def test_only_a_training_that_is_prepared_waits_for_a_node(
    connection: Connection, own: dict[str, Any], status: TrainingStatus
) -> None:
    await add(connection, own, status=status)
    await insert(connection, "job", **own, id=JOB, state="running", attempt=1)
    row = await return_training_to_pending(connection, **own, training_id=TRAINING, job_id=JOB, attempt=1)
    assert (row is not None) == (status == "preparing")
    assert await status_of(connection, own) == ("pending" if status == "preparing" else status)


@pytest.mark.parametrize("status", STATUSES)
async def test_advancing_tells_whether_the_status_is_another_one(
    connection: Connection, own: dict[str, Any], status: TrainingStatus
) -> None:
    await add(connection, own, status=status)
    await insert(connection, "job", **own, id=JOB, state="running", attempt=1)
    row = await advance_training(
        connection, **own, training_id=TRAINING, status="running", job_id=JOB, attempt=1
    )
    assert (row is None) == (status in ENDED)
    if row is not None:
        assert (row.status, row.changed) == ("running", status != "running")


@pytest.mark.parametrize("status", STATUSES)
async def test_only_trainings_that_succeeded_are_predicted_with(
    connection: Connection, own: dict[str, Any], status: TrainingStatus
) -> None:
    await add(connection, own, status=status)
    expected = TRAINING if status == "succeeded" else None
    assert await find_succeeded_training(connection, **own, training_id=TRAINING) == expected
    named = {**own, "training_id": TRAINING}
    assert await find_succeeded_training_of_model(connection, **named, model_id=MODEL) == expected
    assert await find_succeeded_training_of_model(connection, **named, model_id=ModelId("other")) is None


@pytest.mark.parametrize(
    ("base", "warm_start_key"),
    [
        ({"status": "succeeded", "artefact_key": "base/"}, "base/"),
        ({"status": "cancelled", "artefact_key": "base/"}, None),
        (None, None),
    ],
)
async def test_a_training_starts_from_a_training_that_succeeded(
    connection: Connection, own: dict[str, Any], base: dict[str, Any] | None, warm_start_key: str | None
) -> None:
    if base is not None:
        await add(connection, own, "base", **base)
    await add(connection, own, data_bundle_ids=["b1"], warm_start_config={"trainingId": "base"})
    assert await get_training_input(connection, **own, training_id=TRAINING) == TrainingInputRow(
        data_bundle_ids=[DataBundleId("b1")],
        instance_type="small-gpu",
        field_config={"total": {"type": "amount"}},
        preprocess_config={"maxPages": 3},
        warm_start_key=warm_start_key,
    )


async def test_a_training_does_not_start_from_one_of_another_organization(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    foreign = {"organization_id": theirs.organization_id}
    await insert(connection, "model", **foreign, id="their model")
    await insert(
        connection,
        "training",
        **foreign,
        id="theirs",
        model_id="their model",
        status="succeeded",
        artefact_key="theirs/",
    )
    await add(connection, own, warm_start_config={"trainingId": "theirs"})
    row = await get_training_input(connection, **own, training_id=TRAINING)
    assert row is not None
    assert row.warm_start_key is None


async def test_a_list_has_the_trainings_of_one_model_in_some_states(
    connection: Connection, own: dict[str, Any]
) -> None:
    await insert(connection, "model", **own, id="other model")
    for status in STATUSES:
        await add(connection, own, status, status=status)
    await add(connection, own, "of another model", model_id="other model", status="failed")
    listed = {**own, "model_id": MODEL, "after_time": None, "after_id": None, "limit": 100}
    rows = await list_trainings(connection, **listed, statuses=None)
    assert [row.id for row in rows] == sorted(STATUSES)
    rows = await list_trainings(connection, **listed, statuses=["failed", "running"])
    assert [row.id for row in rows] == ["failed", "running"]
