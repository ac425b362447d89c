"""What the API once had and has no more, and what it still takes although nobody needs it."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.seeds import seed_document, seed_training
from tests.support.tenants import Tenant

FIELDS = {"total": {"type": "amount"}}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/batches"),
        ("POST", "/batches"),
        ("GET", "/batches/las:batch:0"),
        ("PATCH", "/batches/las:batch:0"),
        ("DELETE", "/batches/las:batch:0"),
        ("POST", "/signup"),
    ],
)
async def test_routes_that_were_removed(api: httpx.AsyncClient, method: str, path: str) -> None:
    response = await api.request(method, f"/v1{path}", json={"name": "x"} if method != "GET" else None)
    assert response.status_code == 404


async def test_members_that_were_removed(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    model = (await api.post("/v1/models", json={"fieldConfig": FIELDS})).json()
    document_id = await seed_document(pool, organization.organization_id)
    training_id = await seed_training(pool, organization.organization_id, model["modelId"])
    body = {"documentId": document_id, "modelId": model["modelId"], "async": True, "trainingId": training_id}
    user = {"email": "ada@example.com"}
    removed = {
        "width height": model,
        "timestamp": (await api.post("/v1/predictions", json=body)).json(),
        "numDocuments batchId": (await api.post("/v1/datasets", json={})).json(),
        "batchId": (await api.post("/v1/documents", json={})).json(),
        "apiKey": (await api.post("/v1/appClients", json={})).json(),
        "avatar name email": (await api.post("/v1/users", json=user)).json(),
        "monthlyNumberOfProductionWorkflowsUsed": (await api.get("/v1/organizations/me")).json(),
    }
    for names, answer in removed.items():
        assert "message" not in answer
        assert not set(names.split()) & answer.keys()


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/models", {"fieldConfig": FIELDS, "width": 801}, "width"),
        ("/models", {"fieldConfig": FIELDS, "height": 1281}, "height"),
        ("/documents", {"batchId": "las:batch:0"}, "batchId"),
        ("/users", {"email": "ada@example.com", "avatar": "x"}, "avatar"),
    ],
)
async def test_members_that_are_refused(
    api: httpx.AsyncClient, path: str, body: dict[str, Any], named: str
) -> None:
    response = await api.post(f"/v1{path}", json=body)
    assert response.status_code == 400
    assert named in response.json()["message"]


async def test_values_that_were_removed(api: httpx.AsyncClient) -> None:
    model_id = (await api.post("/v1/models", json={"fieldConfig": FIELDS})).json()["modelId"]
    removed = {"dataBundles": ("processing", "ready"), "trainings": ("training", "completed", "aborted")}
    for kind, statuses in removed.items():
        for status in statuses:
            response = await api.get(f"/v1/models/{model_id}/{kind}", params={"status": status})
            assert (response.status_code, "status" in response.json()["message"]) == (400, True), status
    refused = await api.patch(f"/v1/models/{model_id}", json={"status": "training"})
    assert (refused.status_code, "status" in refused.json()["message"]) == (400, True)


@pytest.mark.parametrize("key", ["", "anything"])
async def test_an_api_key_is_neither_needed_nor_minded(api: httpx.AsyncClient, key: str) -> None:
    assert (await api.get("/v1/datasets", headers={"x-api-key": key})).status_code == 200


async def test_a_datasets_new_retention_is_for_new_documents(api: httpx.AsyncClient) -> None:
    dataset_id = (await api.post("/v1/datasets", json={"retentionInDays": 90})).json()["datasetId"]
    old = (await api.post("/v1/documents", json={"datasetId": dataset_id})).json()
    await api.patch(f"/v1/datasets/{dataset_id}", json={"retentionInDays": 7})
    new = (await api.post("/v1/documents", json={"datasetId": dataset_id})).json()
    shown = (await api.get(f"/v1/documents/{old['documentId']}")).json()
    assert (shown["retentionInDays"], new["retentionInDays"]) == (90, 7)


async def test_browsers_are_not_told_of_the_api_key(anonymous: httpx.AsyncClient) -> None:
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "GET"}
    response = await anonymous.options("/v1/datasets", headers=asked)
    assert "x-api-key" not in response.headers["access-control-allow-headers"].lower()
