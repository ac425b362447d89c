"""Predictions: what requests name, repeated requests, lists and statistics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from db.predictions import (
    LabelStatisticsRow,
    RequestedRow,
    find_unanswered_prediction,
    get_requested,
    list_label_statistics,
    list_predictions_ascending,
    list_predictions_descending,
)
from db.statements import Connection
from db.usage import count_freely
from pagemill.ids import DocumentId, ModelId, PredictionId, PrincipalId, TrainingId
from tests.support.everything import insert
from tests.support.tenants import Tenant, create_tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREDICTION, MODEL, DOCUMENT = PredictionId("las:prediction:1"), ModelId("las:model:1"), DocumentId("doc")
MONTH = "2026-01"
TRAINING, ADA = TrainingId("las:model-training:1"), PrincipalId("ada")
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


async def requested(connection: Connection, **asked: Any) -> RequestedRow:
    """Return what a request of Ada for her own model names."""
    names = {name: REQUEST[name] for name in ("document_id", "model_id", "created_by")}
    owner = {"owner_id": asked["organization_id"]}
    given = {**names, **owner, "training_id": None, "month": MONTH, "waited": 30.0, **asked}
    row = await get_requested(connection, **given)
    assert row is not None
    return row


async def test_a_request_names_what_its_organization_has(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    assert await requested(connection, **own) == RequestedRow(
        None, None, None, None, None, None, "pages", False, False
    )
    model = {"id": MODEL, "training_id": TRAINING, "preprocess_config": {"maxPages": 1}}
    await insert(connection, "model", **own, **model)
    await insert(connection, "model", **own, id="another")
    for training_id, status, model_id in (
        ("good", "succeeded", MODEL),
        ("running", "running", MODEL),
        ("of another model", "succeeded", "another"),
    ):
        training = {"id": training_id, "status": status, "model_id": model_id}
        await insert(connection, "training", **own, **training)
    await insert(connection, "document", **own, id=DOCUMENT)
    expected = RequestedRow(DOCUMENT, None, TRAINING, {"maxPages": 1}, {}, None, "pages", False, False)
    assert await requested(connection, **own) == expected
    for training_id in ("running", "of another model", "unknown"):
        assert await requested(connection, **own, training_id=TrainingId(training_id)) == expected
    named = await requested(connection, **own, training_id=TrainingId("good"))
    assert named.training_id == "good"
    await connection.execute("UPDATE document SET content_key = 'content'")
    assert (await requested(connection, **own)).content_key == "content"
    nothing = RequestedRow(None, None, None, None, None, None, "pages", False, False)
    assert await requested(connection, **foreign, training_id=TrainingId("good")) == nothing
    await connection.execute(
        "UPDATE document SET created_time = now() - interval '2 days', retention_in_days = 1"
    )
    assert (await requested(connection, **own)).document_id is None


async def test_no_organization_names_nothing(connection: Connection) -> None:
    arguments = {"owner_id": "unknown", "training_id": None, "month": MONTH, "waited": None}
    names = {name: REQUEST[name] for name in ("document_id", "model_id", "created_by")}
    assert await get_requested(connection, organization_id="unknown", **arguments, **names) is None


@pytest.mark.parametrize("shared", [True, False])
async def test_a_model_predicts_for_others_while_it_is_shared(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any], shared: bool
) -> None:
    await insert(connection, "model", **foreign, id=MODEL, training_id=TRAINING, shared=shared)
    await insert(connection, "training", **foreign, id="other", model_id=MODEL, status="succeeded")
    owner_id = foreign["organization_id"]
    row = await requested(connection, **own, owner_id=owner_id, training_id=TrainingId("other"))
    seen = (row.active_training_id, row.training_id, row.preprocess_config)
    assert seen == ((TRAINING, "other", {}) if shared else (None, None, None))
    assert (await requested(connection, **own)).preprocess_config is None
    assert (await requested(connection, **foreign)).active_training_id == TRAINING


@pytest.mark.parametrize(
    ("amount", "limited_by", "used_up"),
    [("9", "pages", False), ("10", "pages", True), ("10", "fields", False)],
)
async def test_pages_or_fields_are_used_up(
    connection: Connection, theirs: Tenant, amount: str, limited_by: Any, used_up: bool
) -> None:
    allowed = {"pages": 10, "fields": 10}
    tenant = await create_tenant(connection, allowed=allowed, limited_by=limited_by)
    own = {"organization_id": tenant.organization_id}
    foreign = {"organization_id": theirs.organization_id}
    for owner, month, used_there in ((own, MONTH, amount), (own, "2026-02", 99), (foreign, MONTH, 99)):
        arguments = {**owner, "month": month, "meter": "pages"}
        await count_freely(connection, **arguments, amount=Decimal(used_there))
    row = await requested(connection, **own)
    assert (row.limited_by, row.used_up) == (limited_by, used_up)


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
    if not asked.keys() & {"model_reference", "training_id", "priority"} and "config" not in str(asked):
        # It is looked for only where this says so.
        assert (await requested(connection, **own, **asked)).asked_before == is_found
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
    assert rows == ([] if expected is None else [LabelStatisticsRow("total", *expected, 0, 0)])


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
    assert rows == ([] if expected is None else [LabelStatisticsRow("total", *expected, 0, 0)])
