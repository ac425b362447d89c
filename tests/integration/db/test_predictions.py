"""Predictions: their states, repeated requests, what their jobs work with, and statistics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from db.predictions import (
    LabelStatisticsRow,
    PredictingModelRow,
    PredictionInputRow,
    PredictionRow,
    delete_failed_prediction,
    fail_prediction,
    find_unanswered_prediction,
    get_model_to_predict_with,
    get_prediction,
    get_prediction_input,
    insert_prediction,
    list_label_statistics,
    list_predictions_ascending,
    list_predictions_descending,
    reopen_prediction,
    succeed_predictions,
)
from db.statements import Connection
from pagemill.ids import DocumentId, ModelId, PredictionId, PrincipalId, TrainingId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREDICTION, MODEL, DOCUMENT = PredictionId("las:prediction:1"), ModelId("las:model:1"), DocumentId("doc")
TRAINING, ADA = TrainingId("las:model-training:1"), PrincipalId("ada")
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


async def add(connection: Connection, own: dict[str, Any], name: str = PREDICTION, **values: Any) -> str:
    return await insert(connection, "prediction", **own, **{"id": name, **REQUEST, **values})


async def test_a_new_prediction_is_pending(connection: Connection, own: dict[str, Any]) -> None:
    row = await insert_prediction(connection, **own, prediction_id=PREDICTION, **REQUEST)
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
        )
    assert row is not None
    assert row.wanted is wanted


@pytest.mark.parametrize(
    ("values", "asked", "is_found"),
    [
        ({}, {}, True),
        ({}, {"waited": 31.0}, False),
        ({"age": 30}, {}, False),
        ({"age": 3599}, {}, True),
        ({"age": 3600}, {}, False),
        ({"status": "succeeded"}, {}, False),
        *(({}, {name: "other"}, False) for name in ("document_id", "model_id", "model_reference")),
        *(({}, {name: "other"}, False) for name in ("training_id", "created_by")),
        ({}, {"preprocess_config": {"maxPages": 2}}, False),
        ({}, {"postprocess_config": {}}, False),
        ({}, {"priority": 10}, False),
    ],
)
async def test_the_same_request_finds_its_pending_prediction_for_an_hour(
    connection: Connection,
    own: dict[str, Any],
    values: dict[str, Any],
    asked: dict[str, Any],
    is_found: bool,
) -> None:
    values = {"age": 31, **values}
    age = timedelta(seconds=values.pop("age"))
    created_time = await connection.fetchval("SELECT now()") - age
    await add(connection, own, created_time=created_time, **values)
    await insert(connection, "job", **own, id="job", kind="prediction", subject_id=PREDICTION, priority=0)
    arguments = {**own, **REQUEST, "priority": 0, "waited": 30.0, **asked}
    row = await find_unanswered_prediction(connection, **arguments)
    assert (row is not None) == is_found
    if row is not None:
        assert (row.id, row.job_id, row.status) == (PREDICTION, "job", "pending")


async def test_of_several_unanswered_predictions_the_oldest_is_found(
    connection: Connection, own: dict[str, Any]
) -> None:
    now = await connection.fetchval("SELECT now()")
    for name, age in (("new", 40), ("old", 50)):
        await add(connection, own, name, created_time=now - timedelta(seconds=age))
        await insert(connection, "job", **own, id=f"job of {name}", subject_id=name)
    row = await find_unanswered_prediction(connection, **own, **REQUEST, priority=0, waited=30.0)
    assert row is not None
    assert row.id == "old"


@pytest_asyncio.fixture(loop_scope="module")
async def shared_model(connection: Connection, theirs: Tenant) -> dict[str, Any]:
    """A model of another organization with two trainings, as the arguments that name it."""
    foreign = {"organization_id": theirs.organization_id}
    model = {"id": MODEL, "training_id": TRAINING, "shared": True, "preprocess_config": {"maxPages": 1}}
    await insert(connection, "model", **foreign, **model)
    for training_id, artefact_key in (("former", "former artefact/"), (TRAINING, "artefact/")):
        training = {"id": training_id, "model_id": MODEL, "artefact_key": artefact_key}
        await insert(connection, "training", **foreign, **training)
    return {"owner_id": theirs.organization_id, "model_id": MODEL}


@pytest.mark.parametrize("shared", [True, False])
async def test_a_model_predicts_for_others_while_it_is_shared(
    connection: Connection, own: dict[str, Any], shared_model: dict[str, Any], shared: bool
) -> None:
    await connection.execute("UPDATE model SET shared = $1", shared)
    row = await get_model_to_predict_with(connection, **own, **shared_model)
    assert row == (PredictingModelRow(TRAINING, {"maxPages": 1}, {}) if shared else None)
    owner = {"organization_id": shared_model["owner_id"]}
    assert await get_model_to_predict_with(connection, **owner, **shared_model) is not None

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
        limited_by="pages",
    )


async def test_a_deleted_document_and_a_foreign_one_are_not_read(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    await insert(connection, "document", organization_id=theirs.organization_id, id=DOCUMENT)
    await add(connection, own)
    work = await get_prediction_input(connection, **own, prediction_id=PREDICTION)
    assert work is not None
    assert (work.document_id, work.content_key, work.artefact_key) == (None, None, None)


@pytest.mark.parametrize(("model_id", "expected"), [(None, ["a", "b", "c"]), (MODEL, ["a", "c"])])
async def test_a_list_has_the_predictions_of_all_models_or_of_one(
    connection: Connection, own: dict[str, Any], model_id: ModelId | None, expected: list[str]
) -> None:
    for name, model in (("a", MODEL), ("b", "other"), ("c", MODEL)):
        await add(connection, own, name, model_id=model)
    page = {**own, "model_id": model_id, "after_time": None, "after_id": None, "limit": 10}
    assert [row.id for row in await list_predictions_ascending(connection, **page)] == expected
    assert [row.id for row in await list_predictions_descending(connection, **page)] == expected[::-1]


def found(label: str, *confidences: Any) -> list[dict[str, Any]]:
    return [{"label": label, "confidence": confidence} for confidence in confidences]


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (found("total", 0.9), (1, 1)),
        (found("total", 0.8), (1, 1)),
        (found("total", 0.79), (1, 0)),
        # The most confident candidate counts, and those without a number do not.
        (found("total", 0.1, 0.9), (1, 1)),
        (found("total", None), None),
        (found("total", "0.9"), None),
        ({"total": {"confidence": 0.9}}, (1, 1)),
        ({"total": [{"confidence": 0.1}, {"confidence": 0.9}]}, (1, 1)),
        # Line items are as confident as their least confident cell.
        ({"total": [{"price": [{"confidence": 0.9}], "text": [{"confidence": 0.5}]}]}, (1, 0)),
        ({"total": [{"price": [{"confidence": 0.9}], "text": [{"confidence": 0.8}]}]}, (1, 1)),
        (None, None),
        ([], None),
    ],
)
async def test_a_confident_prediction_needs_no_human(
    connection: Connection, own: dict[str, Any], predictions: Any, expected: tuple[int, int] | None
) -> None:
    await add(connection, own, predictions=predictions)
    rows = await list_label_statistics(
        connection,
        **own,
        model_id=MODEL,
        from_time=datetime(2026, 1, 1, tzinfo=UTC),
        training_id=None,
        default_threshold=0.8,
        newest=10,
    )
    assert rows == ([] if expected is None else [LabelStatisticsRow("total", *expected)])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (4, 2)),
        ({"newest": 2}, (2, 0)),
        ({"training_id": TRAINING}, (3, 2)),
        ({"age": 15}, (1, 0)),
        ({"age": 20}, (2, 0)),
        ({"model_id": "other"}, None),
    ],
)
async def test_statistics_count_the_newest_predictions_by_the_threshold_of_their_training(
    connection: Connection, own: dict[str, Any], arguments: dict[str, Any], expected: tuple[int, int] | None
) -> None:
    """The training recommends 0.5; the newest prediction is of another one and measured by 0.8."""
    now = await connection.fetchval("SELECT now()")
    await insert(connection, "model", **own, id=MODEL)
    evaluation = {"automation": {"threshold": 0.5}}
    await insert(connection, "training", **own, id=TRAINING, model_id=MODEL, evaluation=evaluation)
    for age, confidence, training_id in (
        (10, 0.6, "another"),
        (20, 0.4, TRAINING),
        (30, 0.6, TRAINING),
        (40, 0.7, TRAINING),
    ):
        await add(
            connection,
            own,
            f"{age}",
            predictions=found("total", confidence),
            training_id=training_id,
            created_time=now - timedelta(seconds=age),
        )
    rows = await list_label_statistics(
        connection,
        **own,
        model_id=arguments.get("model_id", MODEL),
        from_time=now - timedelta(seconds=arguments.get("age", 100)),
        training_id=arguments.get("training_id"),
        default_threshold=0.8,
        newest=arguments.get("newest", 10),
    )
    assert rows == ([] if expected is None else [LabelStatisticsRow("total", *expected)])
