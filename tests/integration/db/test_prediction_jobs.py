"""Jobs of predictions: submitted with them, what they work with, and how they end."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from db.plan_limits import UNLIMITED
from db.prediction_jobs import (
    PredictionInputRow,
    end_succeeded_predictions,
    fail_prediction,
    get_prediction_input,
    reopen_prediction,
    submit_prediction,
    succeed_predictions,
)
from db.predictions import PredictionRow, delete_failed_prediction, get_prediction
from db.statements import Connection
from db.usage import count_freely, insert_reservations
from pagemill.ids import DocumentId, JobId, ModelId, PredictionId, PrincipalId, TrainingId
from tests.support.everything import insert
from tests.support.tenants import Tenant, create_tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREDICTION, MODEL, DOCUMENT = PredictionId("las:prediction:1"), ModelId("las:model:1"), DocumentId("doc")
TRAINING, ADA = TrainingId("las:model-training:1"), PrincipalId("ada")
MONTH = "2026-01"
STATUSES = ("pending", "succeeded", "failed")
REQUEST: dict[str, Any] = {
    "document_id": DOCUMENT,
    "model_id": MODEL,
    "model_reference": "las:model:1",
    "training_id": TRAINING,
    "preprocess_config": {"maxPages": 1},
    "postprocess_config": {"strategy": "BEST_FIRST"},
    "created_by": ADA,
}
METER = {"month": MONTH, "meter": "predictions"}
NEW: dict[str, Any] = {
    **REQUEST,
    **METER,
    "prediction_id": PREDICTION,
    "job_id": JobId("job"),
    "kind": "prediction",
    "priority": 3,
    "maximum_attempts": 5,
    "trace_context": "context",
    "amount": Decimal(1),
}


JOB = {"id": "job", "kind": "prediction", "priority": 3, "maximum_attempts": 5, "trace_context": "context"}


async def add(connection: Connection, own: dict[str, Any], name: str = PREDICTION, **values: Any) -> str:
    return await insert(connection, "prediction", **own, **{"id": name, **REQUEST, **values})


async def test_a_new_prediction_is_pending(connection: Connection, own: dict[str, Any]) -> None:
    row = await submit_prediction(connection, **own, **NEW)
    now = await connection.fetchval("SELECT now()")
    assert row == PredictionRow(
        id=PREDICTION,
        **REQUEST,
        status="pending",
        predictions=None,
        error=None,
        inference_time=None,
        next_page=None,
        created_time=now,
    )
    assert await get_prediction(connection, **own, prediction_id=PREDICTION) == row


@pytest.mark.parametrize(("allowed", "is_submitted"), [(2, True), (1, False), (0, False)])
async def test_a_prediction_is_submitted_with_its_job_and_counted_within_the_plan(
    connection: Connection, allowed: int, is_submitted: bool
) -> None:
    tenant = await create_tenant(connection, allowed={"predictions": allowed})
    own = {"organization_id": tenant.organization_id}
    await count_freely(connection, **own, **METER, amount=Decimal(1))
    row = await submit_prediction(connection, **own, **NEW)
    assert (row is not None) == is_submitted
    used = "SELECT used FROM usage_counter WHERE organization_id = $1 AND month = $2 AND meter = $3"
    counted = await connection.fetchval(used, tenant.organization_id, *METER.values())
    assert counted == (2 if is_submitted else 1)
    for table, kept in (
        ("prediction", {"id": PREDICTION, "status": "pending"}),
        ("job", {**JOB, "subject_id": PREDICTION, "payload": {}}),
        ("usage_reservation", {"job_id": "job", **METER, "amount": 1}),
    ):
        rows = await connection.fetch(f"SELECT * FROM {table} WHERE organization_id = $1", *own.values())
        assert [{name: row[name] for name in kept} for row in rows] == ([kept] if is_submitted else [])


@pytest.mark.parametrize("status", STATUSES)
async def test_a_prediction_fails_once_and_is_tried_again_or_deleted_when_it_failed(
    connection: Connection, own: dict[str, Any], status: str
) -> None:
    names = [PredictionId(name) for name in ("fails", "is reopened", "is deleted")]
    for name in names:
        await add(connection, own, name, status=status, error="former" if status == "failed" else None)
    failed = await fail_prediction(connection, **own, prediction_id=names[0], error="too large")
    assert (failed is not None) == (status == "pending")
    row = await get_prediction(connection, **own, prediction_id=names[0])
    assert row is not None
    if failed is not None:
        assert (failed.id, failed.document_id, failed.status) == (names[0], DOCUMENT, "failed")
        assert (row.status, row.error) == ("failed", "too large")
    else:
        assert row.status == status
    reopened = await reopen_prediction(connection, **own, prediction_id=names[1])
    deleted = await delete_failed_prediction(connection, **own, prediction_id=names[2])
    assert (reopened, deleted) == ((names[1], 1) if status == "failed" else (None, 0))
    row = await get_prediction(connection, **own, prediction_id=names[1])
    assert row is not None
    assert (row.status, row.error) == ("pending" if reopened else status, None)


async def test_predictions_of_several_organizations_succeed_together(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    """Each by its own organization, and only those that are pending."""
    foreign = {"organization_id": theirs.organization_id}
    await add(connection, own, "mine")
    await add(connection, own, "ended", status="failed")
    await add(connection, foreign, "theirs")
    await add(connection, foreign, "of another")
    rows = await succeed_predictions(
        connection,
        organization_ids=[own["organization_id"]] * 2 + [theirs.organization_id, own["organization_id"]],
        prediction_ids=[PredictionId(name) for name in ("mine", "ended", "theirs", "of another")],
        predictions=[json.dumps([{"label": name}]) for name in ("a", "b", "c", "d")],
        inference_times=[0.5, 1.0, 1.5, 2.0],
        next_pages=[None, 1, 2, 3],
        preprocess_configs=['{"maxPages": 9}'] * 4,
        month=MONTH,
    )
    assert {(row.organization_id, row.id, row.status, row.wanted) for row in rows} == {
        (own["organization_id"], "mine", "succeeded", False),
        (theirs.organization_id, "theirs", "succeeded", False),
    }
    row = await get_prediction(connection, **foreign, prediction_id=PredictionId("theirs"))
    assert row is not None
    assert (row.predictions, row.inference_time, row.next_page) == ([{"label": "c"}], 1.5, 2)
    assert row.preprocess_config == {"maxPages": 9}
    row = await get_prediction(connection, **foreign, prediction_id=PredictionId("of another"))
    assert row is not None
    assert (row.status, row.predictions) == ("pending", None)


@pytest.mark.parametrize("outcome", ["failed", "succeeded"])
@pytest.mark.parametrize(
    ("webhook", "wanted"),
    [
        ({}, True),
        ({"status": "disabled"}, False),
        ({"event_types": ["other"]}, False),
        ({"of": "theirs"}, False),
    ],
)
async def test_an_outcome_tells_whether_a_webhook_of_the_organization_wants_it(
    connection: Connection,
    own: dict[str, Any],
    theirs: Tenant,
    webhook: dict[str, Any],
    wanted: bool,
    outcome: str,
) -> None:
    other = {"failed": "succeeded", "succeeded": "failed"}[outcome]
    wants_other = webhook.get("event_types") == ["other"]
    owner = theirs.organization_id if "of" in webhook else own["organization_id"]
    await insert(
        connection,
        "webhook",
        organization_id=owner,
        id="webhook",
        status=webhook.get("status", "enabled"),
        event_types=[f"prediction.{other if wants_other else outcome}"],
    )
    await add(connection, own)
    if outcome == "failed":
        row = await fail_prediction(connection, **own, prediction_id=PREDICTION, error="")
    else:
        (row,) = await succeed_predictions(
            connection,
            organization_ids=[own["organization_id"]],
            prediction_ids=[PREDICTION],
            predictions=["[]"],
            inference_times=[0.5],
            next_pages=[None],
            preprocess_configs=["{}"],
            month=MONTH,
        )
    assert row is not None
    assert row.wanted is wanted


async def test_a_model_is_active_once_a_month(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    batches = [
        (MONTH, [(own, "a", "one"), (own, "b", "one"), (own, "c", "two"), (foreign, "d", "one")]),
        (MONTH, [(own, "e", "one"), (own, "f", "three")]),
        ("2026-02", [(own, "g", "one")]),
        # It has ended before: its model is not counted.
        (MONTH, [(own, "a", "one"), (own, "h", "four")]),
    ]
    for month, batch in batches:
        for owner, name, model_id in batch:
            if not await connection.fetchval("SELECT count(*) FROM prediction WHERE id = $1", name):
                status = "failed" if name == "h" else "pending"
                await add(connection, owner, name, model_id=ModelId(model_id), status=status)
        await succeed_predictions(
            connection,
            organization_ids=[owner["organization_id"] for owner, _, _ in batch],
            prediction_ids=[PredictionId(name) for _, name, _ in batch],
            predictions=["[]"] * len(batch),
            inference_times=[0.5] * len(batch),
            next_pages=[None] * len(batch),
            preprocess_configs=["{}"] * len(batch),
            month=month,
        )
    rows = await connection.fetch(
        "SELECT organization_id, month, used FROM usage_counter WHERE meter = 'active-models'"
    )
    assert {(row["organization_id"], row["month"]): row["used"] for row in rows} == {
        (own["organization_id"], MONTH): 3,
        (own["organization_id"], "2026-02"): 1,
        (foreign["organization_id"], MONTH): 1,
    }


async def end(
    connection: Connection, jobs: list[tuple[dict[str, Any], str, int]], **changed: Any
) -> list[JobId]:
    """End jobs, given by organization, name and attempt; each is of a prediction and used two pages."""
    job_ids = [JobId(name) for _, name, _ in jobs]
    arguments: dict[str, Any] = {
        "organization_ids": [owner["organization_id"] for owner, _, _ in jobs],
        "job_ids": job_ids,
        "attempts": [attempt for _, _, attempt in jobs],
        "prediction_ids": [PredictionId(f"of {name}") for name in job_ids],
        "predictions": [json.dumps([{"label": name}]) for name in job_ids],
        "inference_times": [0.5] * len(jobs),
        "next_pages": [None] * len(jobs),
        "preprocess_configs": ["{}"] * len(jobs),
        "month": MONTH,
        "used_job_ids": job_ids,
        "months": [MONTH] * len(jobs),
        "meters": ["pages"] * len(jobs),
        "amounts": [Decimal(2)] * len(jobs),
    }
    return sorted(await end_succeeded_predictions(connection, **arguments, **changed))


async def test_a_prediction_ends_with_its_job_its_usage_and_nobody_elses(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    for owner, name, values in (
        (own, "mine", {}),
        (own, "late", {}),
        (own, "asked to end", {"cancel_requested": True}),
        (own, "queued", {"state": "queued"}),
        (foreign, "theirs", {}),
        (foreign, "of another", {}),
    ):
        job = {"state": "running", "attempt": 2, **values}
        await insert(connection, "job", **owner, id=name, subject_id=f"of {name}", **job)
        await add(connection, owner, f"of {name}")
        reserved = {"months": ["2025-12"], "meters": ["pages"], "amounts": [Decimal(3)]}
        await insert_reservations(connection, **owner, job_id=JobId(name), **reserved)
        await count_freely(connection, **owner, month="2025-12", meter="pages", amount=Decimal(3))
    asked = [(own, "mine", 2), (own, "late", 1), (own, "asked to end", 2), (own, "queued", 2)]
    ended = await end(connection, [*asked, (foreign, "theirs", 2), (own, "of another", 2)])
    assert ended == ["mine", "theirs"]
    rows = await connection.fetch("SELECT id FROM job WHERE state = 'succeeded' ORDER BY id")
    assert [row["id"] for row in rows] == ended
    rows = await connection.fetch(
        "SELECT id, predictions, inference_time FROM prediction WHERE status = 'succeeded' ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("of mine", [{"label": "mine"}], 0.5),
        ("of theirs", [{"label": "theirs"}], 0.5),
    ]
    rows = await connection.fetch("SELECT job_id FROM usage_reservation ORDER BY job_id")
    assert [row["job_id"] for row in rows] == ["asked to end", "late", "of another", "queued"]
    rows = await connection.fetch(
        "SELECT organization_id, month, used FROM usage_counter WHERE meter = 'pages'"
    )
    # In the month of the reservation: 3 for each job, and 2 for one that has ended.
    assert {tuple(row) for row in rows} == {
        (own["organization_id"], "2025-12", 4 * 3 - 1),
        (foreign["organization_id"], "2025-12", 2 * 3 - 1),
    }
    rows = await connection.fetch("SELECT used FROM usage_counter WHERE meter = 'active-models'")
    assert [row["used"] for row in rows] == [1, 1]


@pytest.mark.parametrize(
    ("webhook", "ends"),
    [
        ({}, False),
        ({"status": "disabled"}, True),
        ({"event_types": ["prediction.failed"]}, True),
        ({"of": "theirs"}, True),
    ],
)
async def test_what_a_webhook_is_told_of_is_left_out(
    connection: Connection,
    own: dict[str, Any],
    foreign: dict[str, Any],
    webhook: dict[str, Any],
    ends: bool,
) -> None:
    owner = foreign if "of" in webhook else own
    values = {"status": "enabled", "event_types": ["prediction.succeeded"], **webhook}
    values.pop("of", None)
    await insert(connection, "webhook", **owner, id="webhook", **values)
    await insert(connection, "job", **own, id="job", state="running", attempt=1)
    await add(connection, own, "of job")
    assert await end(connection, [(own, "job", 1)]) == (["job"] if ends else [])
    status = await connection.fetchval("SELECT status FROM prediction")
    assert status == ("succeeded" if ends else "pending")


@pytest_asyncio.fixture(loop_scope="module")
async def shared_model(connection: Connection, theirs: Tenant) -> None:
    """A model of another organization with two trainings."""
    foreign = {"organization_id": theirs.organization_id}
    model = {"id": MODEL, "training_id": TRAINING, "shared": True, "preprocess_config": {"maxPages": 1}}
    await insert(connection, "model", **foreign, **model)
    for training_id, artefact_key in (("former", "former artefact/"), (TRAINING, "artefact/")):
        training = {"id": training_id, "model_id": MODEL, "artefact_key": artefact_key}
        await insert(connection, "training", **foreign, **training)


@pytest.mark.usefixtures("shared_model")
@pytest.mark.parametrize("shared", [True, False])
async def test_a_training_of_another_organization_is_used_while_its_model_is_shared(
    connection: Connection, own: dict[str, Any], shared: bool
) -> None:
    await connection.execute("UPDATE model SET shared = $1", shared)
    for document_id, content_key in (("another", "another content"), (DOCUMENT, "content")):
        await insert(connection, "document", **own, id=document_id, content_key=content_key)
    await add(connection, own)
    work = await get_prediction_input(connection, **own, prediction_id=PREDICTION)
    assert work == PredictionInputRow(
        preprocess_config={"maxPages": 1},
        postprocess_config={"strategy": "BEST_FIRST"},
        document_id=DOCUMENT,
        content_key="content",
        artefact_key="artefact/" if shared else None,
        limited_by=None,
    )


@pytest.mark.parametrize(
    ("allowed", "limited_by", "reserved"),
    [
        ({"pages": 10, "fields": 10}, "pages", "pages"),
        ({"pages": 10, "fields": 10}, "fields", "fields"),
        ({"pages": 0}, "pages", "pages"),
        ({"pages": 10}, "fields", None),
        ({"pages": UNLIMITED}, "pages", None),
        ({"predictions": 10}, "pages", None),
    ],
)
async def test_the_meter_to_reserve_is_the_one_that_the_plan_limits(
    connection: Connection, allowed: dict[str, float], limited_by: str, reserved: str | None
) -> None:
    tenant = await create_tenant(connection, allowed=allowed, limited_by=limited_by)
    own = {"organization_id": tenant.organization_id}
    await add(connection, own)
    work = await get_prediction_input(connection, **own, prediction_id=PREDICTION)
    assert work is not None
    assert work.limited_by == reserved


async def test_nothing_is_reserved_without_a_plan(connection: Connection, own: dict[str, Any]) -> None:
    await connection.execute("UPDATE organization SET plan_id = NULL WHERE id = $1", own["organization_id"])
    await add(connection, own)
    work = await get_prediction_input(connection, **own, prediction_id=PREDICTION)
    assert work is not None
    assert work.limited_by is None


async def test_a_deleted_document_and_a_foreign_one_are_not_read(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    await insert(connection, "document", organization_id=theirs.organization_id, id=DOCUMENT)
    await add(connection, own)
    work = await get_prediction_input(connection, **own, prediction_id=PREDICTION)
    assert work is not None
    assert (work.document_id, work.content_key, work.artefact_key) == (None, None, None)
