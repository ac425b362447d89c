"""``statistics`` of models and trainings: the share of values that need no human."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.api.resources import statistics
from pagemill.ids import PredictionId, new_id
from tests.support.seeds import seed_document, seed_training
from tests.support.tenants import Tenant

TIMESTAMP = "%Y-%m-%dT%H:%M:%S.%f%z"


@pytest.fixture
async def model_id(api: httpx.AsyncClient) -> str:
    return (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]


@pytest.fixture
async def training_id(pool: asyncpg.Pool, organization: Tenant, model_id: str) -> str:
    """A training whose evaluation asks for a confidence of 0.6."""
    training_id = await seed_training(pool, organization.organization_id, model_id)
    evaluation = {"automation": {"threshold": 0.6, "rate": 0.8, "precision": 0.95}}
    await pool.execute("UPDATE training SET evaluation = $2 WHERE id = $1", training_id, evaluation)
    return training_id


@pytest.fixture
async def unjudged_id(pool: asyncpg.Pool, organization: Tenant, model_id: str) -> str:
    """A training whose evaluation says nothing of a threshold."""
    return await seed_training(pool, organization.organization_id, model_id)


async def predicted(
    pool: asyncpg.Pool,
    tenant: Tenant,
    training_id: str,
    predictions: Any,
    *,
    days_ago: float = 0.01,
    document_id: str = "document",
) -> None:
    """A prediction made with a training some time ago."""
    await pool.execute(
        """
        INSERT INTO prediction (
            organization_id, id, document_id, model_id, model_reference, training_id, status, predictions,
            created_time
        )
        SELECT organization_id, $2, $7, model_id, model_id, id, $3, $4,
            now() - $5::float8 * interval '1 day'
        FROM training WHERE organization_id = $1 AND id = $6
        """,
        tenant.organization_id,
        new_id(PredictionId),
        "pending" if predictions is None else "succeeded",
        predictions,
        days_ago,
        training_id,
        document_id,
    )


def scalar(label: str, confidence: float) -> dict[str, Any]:
    return {"label": label, "value": "1", "confidence": confidence}


async def fields(api: httpx.AsyncClient, path: str, **query: Any) -> dict[str, tuple[float, int]]:
    found = (await api.get(f"/v1/models/{path}", params=query)).json()["statistics"]
    return {
        label: (field["automationRate"], field["numberOfPredictions"])
        for label, field in found["fields"].items()
    }


async def test_without_predictions_it_is_null_unless_a_period_is_given(
    api: httpx.AsyncClient, model_id: str, training_id: str
) -> None:
    for path in (model_id, f"{model_id}/trainings/{training_id}"):
        assert (await api.get(f"/v1/models/{path}")).json()["statistics"] is None
        asked = await api.get(f"/v1/models/{path}", params={"statisticsLastNDays": 30})
        found = asked.json()["statistics"]
        assert set(found) == {"fields", "fromTime", "toTime"}
        assert found["fields"] == {}
        begin, end = (datetime.strptime(found[key], TIMESTAMP) for key in ("fromTime", "toTime"))
        assert end - begin == timedelta(days=30)


async def test_the_evaluation_of_the_training_gives_the_threshold(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    model_id: str,
    training_id: str,
    unjudged_id: str,
) -> None:
    for training in (training_id, unjudged_id):
        await predicted(pool, organization, training, [scalar("total", 0.7), scalar("date", 0.95)])
    assert await fields(api, model_id) == {"total": (0.5, 2), "date": (1.0, 2)}
    assert await fields(api, f"{model_id}/trainings/{training_id}") == {"total": (1.0, 1), "date": (1.0, 1)}
    assert await fields(api, f"{model_id}/trainings/{unjudged_id}") == {"total": (0.0, 1), "date": (1.0, 1)}


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ([scalar("total", 0.5), scalar("total", 0.6)], {"total": (1.0, 1)}),
        (
            [{"label": "rows", "value": [[scalar("a", 0.9), scalar("b", 0.7)], [scalar("a", 0.8)]]}],
            {"rows": (1.0, 1)},
        ),
        ([{"label": "rows", "value": [[scalar("a", 0.9)], [scalar("a", 0.59)]]}], {"rows": (0.0, 1)}),
        ([{"label": "rows", "value": []}], {}),
        ([], {}),
        (None, {}),
        (
            {"total": [{"value": "1", "confidence": 0.3}, {"value": "2", "confidence": 0.6}], "none": []},
            {"total": (1.0, 1)},
        ),
        ({"rows": [{"confidence": [{"value": "1", "confidence": 0.9}]}, {"a": []}]}, {"rows": (1.0, 1)}),
        ({"rows": [{"a": [{"value": "1", "confidence": 0.9}, {"confidence": 0.1}]}]}, {"rows": (0.0, 1)}),
    ],
)
async def test_best_candidate_and_worst_cell_give_the_confidence(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    model_id: str,
    training_id: str,
    predictions: Any,
    expected: dict[str, tuple[float, int]],
) -> None:
    await predicted(pool, organization, training_id, predictions)
    assert await fields(api, model_id, statisticsLastNDays=7) == expected


VALUE = {"label": "total", "value": "9.00", "rawValue": "RM 9", "confidence": 0.9}


@pytest.mark.parametrize(
    ("predictions", "corrected", "expected"),
    [
        ([VALUE], "9.00", (1, 1.0)),
        ([VALUE], " rm 9", (1, 1.0)),
        ([VALUE], "9.50", (1, 0.0)),
        ([VALUE], None, (1, 0.0)),
        ([{**VALUE, "value": None, "rawValue": None}], None, (1, 1.0)),
        ([VALUE, {**VALUE, "value": "9.50", "confidence": 0.95}], "9.50", (1, 1.0)),
        ({"total": [VALUE, {**VALUE, "value": "9.50", "confidence": 0.95}]}, "9.50", (1, 1.0)),
        ({"total": [{"a": [VALUE]}]}, "9.00", (0, None)),
        ([VALUE], [[{"label": "a", "value": "9.00"}]], (0, None)),
    ],
)
async def test_labels_that_come_later_check_the_predictions(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    model_id: str,
    training_id: str,
    predictions: Any,
    corrected: Any,
    expected: tuple[int, float | None],
) -> None:
    document_id = await seed_document(pool, organization.organization_id)
    body = {"groundTruth": [{"label": "total", "value": corrected}, {"label": "other", "value": "1"}]}
    await api.patch(f"/v1/documents/{document_id}", json=body)
    await predicted(pool, organization, training_id, predictions, days_ago=0, document_id=document_id)
    before = (await api.get(f"/v1/models/{model_id}")).json()["statistics"]["fields"]["total"]
    assert (before["numberOfChecked"], before["accuracy"]) == (0, None)
    await api.patch(f"/v1/documents/{document_id}", json=body)
    after = (await api.get(f"/v1/models/{model_id}")).json()["statistics"]["fields"]
    assert list(after) == ["total"]
    assert (after["total"]["numberOfChecked"], after["total"]["accuracy"]) == expected


async def test_every_field_of_the_model_is_told_of(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, model_id: str, training_id: str
) -> None:
    config = {"never": {"type": "string"}, "total": {"type": "amount"}}
    await api.patch(f"/v1/models/{model_id}", json={"fieldConfig": config})
    assert (await api.get(f"/v1/models/{model_id}")).json()["statistics"] is None
    await predicted(pool, organization, training_id, [scalar("total", 0.9)])
    assert await fields(api, model_id) == {"never": (None, 0), "total": (1.0, 1)}


async def test_the_period_and_its_default(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, model_id: str, training_id: str
) -> None:
    for days_ago in (0.5, 3, 6.9, 7.1, 29):
        await predicted(pool, organization, training_id, [scalar("total", 0.9)], days_ago=days_ago)
    for days, number in ((1, 1), (6, 2), (7, 3), (8, 4), (30, 5)):
        assert await fields(api, model_id, statisticsLastNDays=days) == {"total": (1.0, number)}
    assert await fields(api, model_id) == {"total": (1.0, 3)}


async def test_only_the_newest_predictions_are_counted(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    model_id: str,
    training_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "NEWEST_PREDICTIONS", 3)
    for days_ago, confidence in ((1, 0.9), (2, 0.9), (3, 0.1), (4, 0.1)):
        await predicted(pool, organization, training_id, [scalar("total", confidence)], days_ago=days_ago)
    assert await fields(api, model_id) == {"total": (0.6667, 3)}


@pytest.mark.parametrize(
    ("days", "status"), [("1", 200), ("30", 200), ("0", 400), ("31", 400), ("-1", 400), ("x", 400), ("", 400)]
)
async def test_range_of_days(
    api: httpx.AsyncClient, model_id: str, training_id: str, days: str, status: int
) -> None:
    for path in (model_id, f"{model_id}/trainings/{training_id}"):
        response = await api.get(f"/v1/models/{path}", params={"statisticsLastNDays": days})
        assert response.status_code == status
        assert status == 200 or "statisticsLastNDays" in response.json()["message"]
