"""Datasets through HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.documents import dataset_counters
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant


async def create(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post("/v1/datasets", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def add_document(api: httpx.AsyncClient, dataset_id: str, **body: Any) -> str:
    response = await api.post("/v1/documents", json={"datasetId": dataset_id, **body})
    assert response.status_code == 200, response.text
    return str(response.json()["documentId"])


async def state(api: httpx.AsyncClient, dataset_id: str) -> tuple[int, int, dict[str, int]]:
    dataset = (await api.get(f"/v1/datasets/{dataset_id}")).json()
    return dataset["numberOfDocuments"], dataset["version"], dataset["groundTruthSummary"]


async def test_defaults(api: httpx.AsyncClient, organization: Tenant) -> None:
    dataset = await create(api)
    assert dataset == {
        "datasetId": dataset["datasetId"],
        "name": None,
        "description": None,
        "metadata": None,
        "numberOfDocuments": 0,
        "groundTruthSummary": {},
        "retentionInDays": 1825,
        "containsPersonallyIdentifiableInformation": True,
        "storageLocation": "EU",
        "version": 0,
        "createdTime": dataset["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert len(dataset["createdTime"]) == len("2021-08-16T12:53:13.374930+0000")
    assert dataset["createdTime"].endswith("+0000")


async def test_members_are_returned_and_updated(api: httpx.AsyncClient, organization: Tenant) -> None:
    body = {
        "name": "Invoices",
        "description": "of 2024",
        "metadata": {"a": [1, None, "é"]},
        "retentionInDays": 30,
        "containsPersonallyIdentifiableInformation": False,
    }
    dataset = await create(api, **body)
    assert {name: dataset[name] for name in body} == body
    path = f"/v1/datasets/{dataset['datasetId']}"
    assert (await api.get(path)).json() == dataset
    changed = (await api.patch(path, json={"name": None, "metadata": {}, "retentionInDays": 60})).json()
    assert changed == {
        **dataset,
        "name": None,
        "metadata": {},
        "retentionInDays": 60,
        "updatedTime": changed["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    assert changed["updatedTime"] is not None
    assert (await api.get(path)).json() == changed


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"size": 1}, "size"),
        ({"name": 1}, "name"),
        ({"name": "x" * 4097}, "name"),
        ({"name": "a\0b"}, "U+0000"),
        ({"retentionInDays": 0}, "retentionInDays"),
        ({"retentionInDays": 1826}, "retentionInDays"),
        ({"retentionInDays": "5"}, "retentionInDays"),
        ({"containsPersonallyIdentifiableInformation": "true"}, "containsPersonallyIdentifiableInformation"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "x" * 4096}}, "metadata"),
        ({"metadata": {"a": "\0"}}, "U+0000"),
    ],
)
async def test_bad_members_are_named(api: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    dataset = await create(api)
    for response in (
        await api.post("/v1/datasets", json=body),
        await api.patch(f"/v1/datasets/{dataset['datasetId']}", json=body),
    ):
        assert response.status_code == 400
        assert named in response.json()["message"]
    assert (await api.get("/v1/datasets")).json()["datasets"] == [dataset]


async def test_update_needs_a_member(api: httpx.AsyncClient) -> None:
    dataset = await create(api)
    response = await api.patch(f"/v1/datasets/{dataset['datasetId']}", json={})
    assert response.status_code == 400


async def test_paging_survives_inserts_and_deletes(api: httpx.AsyncClient) -> None:
    ids = [(await create(api))["datasetId"] for _ in range(5)]
    first = (await api.get("/v1/datasets", params={"maxResults": "2"})).json()
    assert [dataset["datasetId"] for dataset in first["datasets"]] == ids[:2]
    assert (await api.delete(f"/v1/datasets/{ids[1]}")).status_code == 200
    late = (await create(api))["datasetId"]
    second = (
        await api.get("/v1/datasets", params={"maxResults": "3", "nextToken": first["nextToken"]})
    ).json()
    assert [dataset["datasetId"] for dataset in second["datasets"]] == ids[2:]
    third = (await api.get("/v1/datasets", params={"nextToken": second["nextToken"]})).json()
    assert [dataset["datasetId"] for dataset in third["datasets"]] == [late]
    assert third["nextToken"] is None
    for token in ("foo", third):
        assert (await api.get("/v1/datasets", params={"nextToken": str(token)})).status_code == 400


async def test_list_runs_the_same_statements_for_any_number(api: httpx.AsyncClient) -> None:
    with statements_run() as for_none:
        await api.get("/v1/datasets")
    for _ in range(3):
        await create(api)
    with statements_run() as for_three:
        await api.get("/v1/datasets")
    assert for_three == for_none == ["principals.find_principal", "datasets.list_datasets"]


async def test_only_an_empty_dataset_is_deleted(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    dataset_id = (await create(api))["datasetId"]
    path = f"/v1/datasets/{dataset_id}"
    document_id = await add_document(api, dataset_id)
    refused = await api.delete(path)
    assert refused.status_code == 400
    assert "1 documents" in refused.json()["message"]
    await api.delete(f"/v1/documents/{document_id}")
    assert (await api.delete(path)).json()["datasetId"] == dataset_id
    assert (await api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 404
    assert await used(pool, organization.organization_id, "datasets") == 0


async def test_limit(limited_api: httpx.AsyncClient) -> None:
    dataset_id = (await create(limited_api))["datasetId"]
    refused = await limited_api.post("/v1/datasets", json={})
    assert refused.status_code == 429
    assert refused.json()["message"] == "Limit Exceeded"
    await limited_api.delete(f"/v1/datasets/{dataset_id}")
    await create(limited_api)


async def test_counters_follow_documents(api: httpx.AsyncClient) -> None:
    source, target = [(await create(api))["datasetId"] for _ in range(2)]
    lines = [[{"label": "qty", "value": 1}], [{"label": "qty", "value": 2}]]
    truth = [{"label": "total", "value": "1.00"}, {"label": "lines", "value": lines}]
    document_id = await add_document(api, source, groundTruth=truth)
    await add_document(api, source, groundTruth=truth[:1])
    summary = {"total": 2, "lines": 1, "lines.qty": 2}
    assert await state(api, source) == (2, 2, summary)

    path = f"/v1/documents/{document_id}"
    await api.patch(path, json={"groundTruth": [{"label": "date", "value": "2024-01-01"}]})
    assert await state(api, source) == (2, 3, {"total": 1, "date": 1})
    await api.patch(path, json={"datasetId": target})
    assert await state(api, source) == (1, 4, {"total": 1})
    assert await state(api, target) == (1, 1, {"date": 1})
    await api.patch(path, json={"datasetId": target, "groundTruth": None})
    assert await state(api, target) == (1, 2, {})
    await api.delete(path)
    assert await state(api, target) == (0, 3, {})
    await api.delete("/v1/documents", params={"datasetId": source})
    assert await state(api, source) == (0, 5, {})


async def test_counters_are_exact_under_concurrency(api: httpx.AsyncClient) -> None:
    first, second = [(await create(api))["datasetId"] for _ in range(2)]
    truth = [{"label": "total", "value": "1"}]
    ids = await asyncio.gather(
        *(add_document(api, (first, second)[number % 2], groundTruth=truth) for number in range(12))
    )
    moved = await asyncio.gather(
        *(
            api.patch(f"/v1/documents/{identifier}", json={"datasetId": (second, first)[number % 2]})
            for number, identifier in enumerate(ids)
        )
    )
    assert [response.status_code for response in moved] == [200] * 12
    assert [(await state(api, one))[::2] for one in (first, second)] == [(6, {"total": 6})] * 2
    deleted = await asyncio.gather(*(api.delete("/v1/documents", params={"datasetId": first}) for _ in "abc"))
    assert sum(len(response.json()["documents"]) for response in deleted) == 6
    assert (await state(api, first))[::2] == (0, {})
    assert (await state(api, second))[::2] == (6, {"total": 6})


async def test_a_dataset_that_gets_a_document_is_not_deleted(api: httpx.AsyncClient) -> None:
    for _ in range(5):
        dataset_id = (await create(api))["datasetId"]
        added, deleted = await asyncio.gather(
            api.post("/v1/documents", json={"datasetId": dataset_id}),
            api.delete(f"/v1/datasets/{dataset_id}"),
        )
        assert (added.status_code, deleted.status_code) in {(200, 400), (400, 200)}


async def test_the_number_of_labels_of_a_dataset_is_bounded(
    api: httpx.AsyncClient, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_counters, "MAXIMUM_LABELS", 3)
    dataset_id = (await create(api))["datasetId"]

    def labelled(*labels: str) -> dict[str, Any]:
        return {"datasetId": dataset_id, "groundTruth": [{"label": one, "value": 1} for one in labels]}

    first = (await api.post("/v1/documents", json=labelled("a", "b", "c"))).json()
    refused = await api.post("/v1/documents", json=labelled("a", "d"))
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("groundTruth: the dataset must not have more than 3")
    loose = (await api.post("/v1/documents", json={"groundTruth": labelled("d")["groundTruth"]})).json()
    moved = await api.patch(f"/v1/documents/{loose['documentId']}", json={"datasetId": dataset_id})
    assert moved.status_code == 400
    assert (await api.post("/v1/documents", json=labelled("c", "b"))).status_code == 200
    dataset = (await api.get(f"/v1/datasets/{dataset_id}")).json()
    assert (dataset["numberOfDocuments"], dataset["groundTruthSummary"]) == (2, {"a": 1, "b": 2, "c": 2})
    await pool.execute("UPDATE dataset SET ground_truth_summary = ground_truth_summary || '{\"x\": 5}'")
    assert (await api.delete(f"/v1/documents/{first['documentId']}")).status_code == 200
