"""Transformations of datasets through HTTP, with the test in place of the worker."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.errors import Unavailable
from pagemill.jobs import outcomes
from pagemill.work.transformations import TRANSFORMATION
from tests.support.queries import statements_run
from tests.support.seeds import claim_job, jobs_of, used
from tests.support.tenants import Tenant

REMOVE_DUPLICATES = {"operations": [{"type": "remove-duplicates"}]}
UNKNOWN_DATASET = f"las:dataset:{'0' * 32}"
UNKNOWN = f"las:dataset-transformation:{'0' * 32}"


@pytest.fixture
async def dataset_id(api: httpx.AsyncClient) -> str:
    return str((await api.post("/v1/datasets", json={})).json()["datasetId"])


@pytest.fixture
def path(dataset_id: str) -> str:
    """Return the path of a dataset's transformations."""
    return f"/v1/datasets/{dataset_id}/transformations"


async def create(api: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await api.post(path, json=body or REMOVE_DUPLICATES)
    assert response.status_code == 200, response.text
    return dict(response.json())


@pytest.mark.parametrize(("method", "rest"), [("POST", ""), ("GET", ""), ("DELETE", f"/{UNKNOWN}")])
async def test_anonymous_is_refused(anonymous: httpx.AsyncClient, method: str, rest: str) -> None:
    response = await anonymous.request(method, f"/v1/datasets/{UNKNOWN_DATASET}/transformations{rest}")
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


async def test_a_foreign_id_is_answered_like_an_unknown_one(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, path: str, dataset_id: str
) -> None:
    made = (await create(api, path))["transformationId"]
    for method, body in (("POST", REMOVE_DUPLICATES), ("GET", None)):
        foreign = await other_api.request(method, path, json=body)
        unknown = await other_api.request(
            method, f"/v1/datasets/{UNKNOWN_DATASET}/transformations", json=body
        )
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content.replace(UNKNOWN_DATASET.encode(), dataset_id.encode())
    foreign = await other_api.delete(f"{path}/{made}")
    unknown = await other_api.delete(f"{path}/{UNKNOWN}")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content.replace(UNKNOWN.encode(), made.encode())
    assert len((await api.get(path)).json()["transformations"]) == 1


async def test_new_transformation_runs_and_has_a_job(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, path: str, dataset_id: str
) -> None:
    body = {"operations": [{"type": "remove-duplicates", "options": {"any": [1, None]}}]}
    made = await create(api, path, **body)
    assert made == {
        "transformationId": made["transformationId"],
        "datasetId": dataset_id,
        **body,
        "status": "running",
        "createdTime": made["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    (job,) = await jobs_of(pool, made["transformationId"])
    assert (job["kind"], job["state"], job["priority"]) == ("transformation", "queued", 10)
    assert await used(pool, organization.organization_id, "transformations") == 1


async def test_operations_may_be_left_out(api: httpx.AsyncClient, path: str) -> None:
    response = await api.post(path, json={})
    assert (response.status_code, response.json()["operations"]) == (200, [])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"operation": []}, "operation"),
        ({"operations": None}, "operations"),
        ({"operations": [{"type": "shuffle"}]}, "operations[0].type"),
        ({"operations": [{}]}, "type"),
        ({"operations": [{"type": "remove-duplicates", "keep": "newest"}]}, "keep"),
        ({"operations": [{"type": "remove-duplicates", "options": []}]}, "options"),
        ({"operations": [{"type": "remove-duplicates", "options": {"a": "x" * 4096}}]}, "options"),
        ({"operations": [{"type": "remove-duplicates"}] * 11}, "operations"),
    ],
)
async def test_an_invalid_transformation_leaves_nothing_behind(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    path: str,
    body: dict[str, Any],
    named: str,
) -> None:
    response = await api.post(path, json=body)
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert (await api.get(path)).json() == {"transformations": [], "nextToken": None}
    assert await pool.fetchval("SELECT count(*) FROM job") == 0
    assert await used(pool, organization.organization_id, "transformations") == 0


async def test_limit(limited_api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    dataset_id = (await limited_api.post("/v1/datasets", json={})).json()["datasetId"]
    path = f"/v1/datasets/{dataset_id}/transformations"
    await create(limited_api, path)
    refused = await limited_api.post(path, json=REMOVE_DUPLICATES)
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    assert await pool.fetchval("SELECT count(*) FROM job") == 1


async def test_list_by_status_and_pages(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, path: str
) -> None:
    ids = [(await create(api, path))["transformationId"] for _ in range(3)]
    async with pool.acquire() as connection:
        await outcomes.finish(connection, TRANSFORMATION, await claim_job(pool, TRANSFORMATION), None)
        await outcomes.fail(
            connection, TRANSFORMATION, await claim_job(pool, TRANSFORMATION), Unavailable("away")
        )
    listed = (await api.get(path)).json()
    assert [one["transformationId"] for one in listed["transformations"]] == ids
    assert [one["status"] for one in listed["transformations"]] == ["succeeded", "failed", "running"]
    assert set(listed) == {"transformations", "nextToken"}
    some = (await api.get(path, params={"status": ["failed", "running"]})).json()
    assert [one["transformationId"] for one in some["transformations"]] == ids[1:]
    assert some["status"] == ["failed", "running"]
    first = (await api.get(path, params={"maxResults": 2})).json()
    rest = (await api.get(path, params={"maxResults": 2, "nextToken": first["nextToken"]})).json()
    assert [one["transformationId"] for one in first["transformations"]] == ids[:2]
    assert [one["transformationId"] for one in rest["transformations"]] == ids[2:]
    assert rest["nextToken"] is None
    assert (await api.get(path, params={"status": "done"})).status_code == 400
    assert await used(pool, organization.organization_id, "transformations") == 3


async def test_list_runs_the_same_statements_for_any_number(api: httpx.AsyncClient, path: str) -> None:
    with statements_run() as for_none:
        await api.get(path)
    for _ in range(3):
        await create(api, path)
    with statements_run() as for_three:
        await api.get(path)
    assert for_three == for_none
    assert for_three[-2:] == ["datasets.get_dataset", "transformations.list_transformations"]


async def test_deletion_cancels_the_job(api: httpx.AsyncClient, pool: asyncpg.Pool, path: str) -> None:
    queued = await create(api, path)
    assert (await api.delete(f"{path}/{queued['transformationId']}")).json() == queued
    assert [job["state"] for job in await jobs_of(pool, queued["transformationId"])] == ["cancelled"]
    running = (await create(api, path))["transformationId"]
    job = await claim_job(pool, TRANSFORMATION)
    assert (await api.delete(f"{path}/{running}")).status_code == 200
    async with pool.acquire() as connection:
        await outcomes.finish(connection, TRANSFORMATION, job, None)
    assert [job["state"] for job in await jobs_of(pool, running)] == ["cancelled"]
    assert (await api.get(path)).json()["transformations"] == []
    gone = await api.delete(f"{path}/{running}")
    assert (gone.status_code, gone.json()) == (404, {"message": f"Transformation {running} not found"})


async def test_a_dataset_is_deleted_with_its_transformations(
    api: httpx.AsyncClient, path: str, dataset_id: str
) -> None:
    await create(api, path)
    assert (await api.delete(f"/v1/datasets/{dataset_id}")).status_code == 200
    assert (await api.get(path)).json() == {"message": f"Dataset {dataset_id} not found"}
