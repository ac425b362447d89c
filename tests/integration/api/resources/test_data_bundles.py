"""Data bundles through HTTP; the test ends the jobs itself."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.jobs import outcomes
from pagemill.work.data_bundles import DATA_BUNDLE, DataBundleResult
from tests.support.seeds import claim_job, jobs_of, seed_data_bundle, seed_dataset, used
from tests.support.tenants import Tenant

UNKNOWN_MODEL = "las:model:unknown"
UNKNOWN = f"las:model-data-bundle:{'0' * 32}"
UNKNOWN_DATASET = f"las:dataset:{'0' * 32}"
KEYS = {
    "createdBy",
    "createdTime",
    "dataBundleId",
    "datasets",
    "description",
    "modelId",
    "name",
    "retentionInDays",
    "status",
    "summary",
    "updatedBy",
    "updatedTime",
}


@pytest.fixture
async def bundles(api: httpx.AsyncClient) -> str:
    """Path of the bundles of a new model."""
    model = (await api.post("/v1/models", json={"fieldConfig": {}})).json()
    return f"/v1/models/{model['modelId']}/dataBundles"


@pytest.fixture
async def dataset_id(pool: asyncpg.Pool, organization: Tenant) -> str:
    return await seed_dataset(pool, organization.organization_id)


def model_of(path: str) -> str:
    return path.split("/")[3]


async def succeed(pool: asyncpg.Pool, summary: dict[str, Any] | None = None) -> None:
    """Do what the worker does with the next bundle."""
    job = await claim_job(pool, DATA_BUNDLE)
    async with pool.acquire() as connection:
        await outcomes.finish(
            connection, DATA_BUNDLE, job, DataBundleResult(summary=summary or {}, object_key="key")
        )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("GET", ""),
        ("GET", f"/{UNKNOWN}"),
        ("PATCH", f"/{UNKNOWN}"),
        ("DELETE", f"/{UNKNOWN}"),
    ],
)
async def test_anonymous_is_refused(anonymous: httpx.AsyncClient, method: str, path: str) -> None:
    response = await anonymous.request(method, f"/v1/models/{UNKNOWN_MODEL}/dataBundles{path}")
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_foreign_bundle_is_answered_like_an_unknown_one(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, bundles: str, dataset_id: str, method: str
) -> None:
    bundle_id = (await api.post(bundles, json={"datasetIds": [dataset_id]})).json()["dataBundleId"]
    body = {"name": "mine"} if method == "PATCH" else None
    foreign = await other_api.request(method, f"{bundles}/{bundle_id}", json=body)
    unknown = await other_api.request(method, f"/v1/models/{UNKNOWN_MODEL}/dataBundles/{UNKNOWN}", json=body)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content.replace(UNKNOWN.encode(), bundle_id.encode())


async def test_bundles_of_a_foreign_model_are_answered_like_those_of_an_unknown_one(
    other_api: httpx.AsyncClient, bundles: str
) -> None:
    for method, body in (("GET", None), ("POST", {})):
        foreign = await other_api.request(method, bundles, json=body)
        unknown = await other_api.request(method, f"/v1/models/{UNKNOWN_MODEL}/dataBundles", json=body)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content.replace(UNKNOWN_MODEL.encode(), model_of(bundles).encode())


async def test_new_bundle_is_a_snapshot_and_has_a_job(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, bundles: str
) -> None:
    datasets = []
    for retention in (30, 10):
        body = {"name": "d", "retentionInDays": retention, "metadata": {"k": [1]}}
        datasets.append((await api.post("/v1/datasets", json=body)).json())
    ids = [dataset["datasetId"] for dataset in datasets]
    bundle = (await api.post(bundles, json={"datasetIds": [*ids, ids[0]], "name": "n"})).json()
    assert set(bundle) == KEYS
    assert bundle["datasets"] == datasets
    assert (bundle["status"], bundle["summary"], bundle["retentionInDays"]) == ("running", None, 10)
    assert (bundle["name"], bundle["description"], bundle["updatedTime"]) == ("n", None, None)
    assert (await api.get(f"{bundles}/{bundle['dataBundleId']}")).json() == bundle
    (job,) = await jobs_of(pool, bundle["dataBundleId"])
    assert (job["kind"], job["state"], job["priority"]) == ("data-bundle", "queued", 10)
    assert await used(pool, organization.organization_id, "data-bundles") == 1


async def test_a_running_bundle_has_its_progress(
    api: httpx.AsyncClient, pool: asyncpg.Pool, bundles: str, dataset_id: str
) -> None:
    created = (await api.post(bundles, json={"datasetIds": [dataset_id]})).json()
    assert "progress" not in created
    await pool.execute("UPDATE data_bundle SET documents = 40, documents_read = 7")
    one = f"{bundles}/{created['dataBundleId']}"
    assert (await api.get(one)).json()["progress"] == {"documentsRead": 7, "documents": 40}
    assert (await api.get(bundles)).json()["dataBundles"][0]["progress"]["documentsRead"] == 7
    await succeed(pool)
    assert "progress" not in (await api.get(one)).json()


async def test_finished_bundle_has_its_summary(
    api: httpx.AsyncClient, pool: asyncpg.Pool, bundles: str, dataset_id: str
) -> None:
    bundle_id = (await api.post(bundles, json={"datasetIds": [dataset_id]})).json()["dataBundleId"]
    await succeed(pool, {"aggregate": {"numberOfDocuments": 10}})
    bundle = (await api.get(f"{bundles}/{bundle_id}")).json()
    assert (bundle["status"], bundle["summary"]) == ("succeeded", {"aggregate": {"numberOfDocuments": 10}})


async def test_bundle_without_datasets_is_allowed(api: httpx.AsyncClient, bundles: str) -> None:
    bundle = (await api.post(bundles, json={"name": None, "description": None})).json()
    assert (bundle["datasets"], bundle["status"]) == ([], "running")


@pytest.mark.parametrize(
    "body",
    [
        {"datasetIds": []},
        {"datasetIds": [UNKNOWN_DATASET]},
        {"datasetIds": ["dataset"]},
        {"datasetIds": None},
        {"retentionInDays": 10},
    ],
)
async def test_bad_bundle_is_refused_and_nothing_is_stored(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, bundles: str, body: dict[str, Any]
) -> None:
    assert (await api.post(bundles, json=body)).status_code == 400
    assert (await api.get(bundles)).json() == {"dataBundles": [], "nextToken": None}
    assert await pool.fetchval("SELECT count(*) FROM job") == 0
    assert await used(pool, organization.organization_id, "data-bundles") == 0


async def test_foreign_dataset_is_answered_like_an_unknown_one(
    api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant, bundles: str
) -> None:
    foreign_id = await seed_dataset(pool, other_organization.organization_id)
    foreign = await api.post(bundles, json={"datasetIds": [foreign_id]})
    unknown = await api.post(bundles, json={"datasetIds": [UNKNOWN_DATASET]})
    assert foreign.status_code == 400
    assert foreign.content == unknown.content.replace(UNKNOWN_DATASET.encode(), foreign_id.encode())


async def test_the_plan_limits_bundles(limited_api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    model = (await limited_api.post("/v1/models", json={"fieldConfig": {}})).json()
    path = f"/v1/models/{model['modelId']}/dataBundles"
    assert (await limited_api.post(path, json={})).status_code == 200
    refused = await limited_api.post(path, json={})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    assert await pool.fetchval("SELECT count(*) FROM job") == 1


async def test_list_filters_by_status_and_has_pages(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, bundles: str
) -> None:
    made = {
        status: await seed_data_bundle(pool, organization.organization_id, model_of(bundles), status=status)
        for status in ("running", "succeeded", "failed")
    }
    some = (await api.get(bundles, params={"status": ["failed", "running"]})).json()
    assert {bundle["dataBundleId"] for bundle in some["dataBundles"]} == {made["running"], made["failed"]}
    assert some["status"] == ["failed", "running"]
    first = (await api.get(bundles, params={"maxResults": 2})).json()
    rest = (await api.get(bundles, params={"maxResults": 2, "nextToken": first["nextToken"]})).json()
    ids = [bundle["dataBundleId"] for bundle in [*first["dataBundles"], *rest["dataBundles"]]]
    assert (ids, rest["nextToken"]) == (list(made.values()), None)
    assert "status" not in first
    assert (await api.get(bundles, params={"status": "ready"})).status_code == 400


async def test_update_without_changed_datasets_only_changes_the_name(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, bundles: str, dataset_id: str
) -> None:
    bundle = (await api.post(bundles, json={"datasetIds": [dataset_id], "description": "d"})).json()
    await succeed(pool)
    path = f"{bundles}/{bundle['dataBundleId']}"
    updated = (await api.patch(path, json={"name": "n"})).json()
    assert (updated["name"], updated["description"], updated["status"]) == ("n", "d", "succeeded")
    assert updated["updatedBy"] == organization.app_client_id
    assert (await api.patch(path, json={})).status_code == 400


async def test_update_with_changed_datasets_bundles_them_again(
    api: httpx.AsyncClient, pool: asyncpg.Pool, bundles: str, dataset_id: str
) -> None:
    bundle_id = (await api.post(bundles, json={"datasetIds": [dataset_id]})).json()["dataBundleId"]
    await succeed(pool, {"labels": {}})
    await pool.execute("UPDATE dataset SET version = 99 WHERE id = $1", dataset_id)
    updated = (await api.patch(f"{bundles}/{bundle_id}", json={"name": "n"})).json()
    assert (updated["status"], updated["summary"], updated["datasets"][0]["version"]) == ("running", None, 99)
    again = (await api.patch(f"{bundles}/{bundle_id}", json={"name": "m"})).json()
    assert again["status"] == "running"
    assert [job["state"] for job in await jobs_of(pool, bundle_id)] == ["succeeded", "queued"]


async def test_delete_cancels_the_job(
    api: httpx.AsyncClient, pool: asyncpg.Pool, bundles: str, dataset_id: str
) -> None:
    queued = (await api.post(bundles, json={"datasetIds": [dataset_id]})).json()["dataBundleId"]
    assert (await api.delete(f"{bundles}/{queued}")).json()["dataBundleId"] == queued
    assert [job["state"] for job in await jobs_of(pool, queued)] == ["cancelled"]
    running = (await api.post(bundles, json={"datasetIds": [dataset_id]})).json()["dataBundleId"]
    job = await claim_job(pool, DATA_BUNDLE)
    assert (await api.delete(f"{bundles}/{running}")).status_code == 200
    async with pool.acquire() as connection:
        await outcomes.finish(connection, DATA_BUNDLE, job, DataBundleResult(summary={}, object_key="key"))
    assert [job["state"] for job in await jobs_of(pool, running)] == ["cancelled"]
    assert (await api.get(bundles)).json()["dataBundles"] == []
    assert (await api.delete(f"{bundles}/{running}")).status_code == 404
