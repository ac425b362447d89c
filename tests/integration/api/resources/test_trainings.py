"""Trainings through HTTP; the test ends the jobs itself."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from db.training_reports import set_training_progress
from pagemill.errors import BadRequest
from pagemill.ids import DatasetId, new_id
from pagemill.jobs import outcomes
from pagemill.jobs.job_administration import retry_job
from pagemill.work.kinds import KINDS
from pagemill.work.trainings import TRAINING, TrainingResult
from tests.support.seeds import claim_job, jobs_of, seed_data_bundle, seed_training, used
from tests.support.tenants import Tenant

UNKNOWN_MODEL = "las:model:unknown"
UNKNOWN = "las:model-training:unknown"
UNKNOWN_BUNDLE = f"las:model-data-bundle:{'0' * 32}"
FINAL = ("succeeded", "failed", "cancelled")
KEYS = {
    "createdBy",
    "createdTime",
    "dataBundleIds",
    "dataScientistAssistance",
    "deploymentEnvironmentId",
    "description",
    "evaluation",
    "gpuHours",
    "instanceType",
    "metadata",
    "modelId",
    "name",
    "statistics",
    "status",
    "trainingId",
    "updatedBy",
    "updatedTime",
}


@pytest.fixture
async def model_id(api: httpx.AsyncClient) -> str:
    return (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]


@pytest.fixture
def trainings(model_id: str) -> str:
    """Path of the trainings of a new model."""
    return f"/v1/models/{model_id}/trainings"


@pytest.fixture
async def bundle_id(pool: asyncpg.Pool, organization: Tenant, model_id: str) -> str:
    return await seed_data_bundle(pool, organization.organization_id, model_id)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", ""), ("GET", ""), ("GET", f"/{UNKNOWN}"), ("PATCH", f"/{UNKNOWN}")]
)
async def test_anonymous_is_refused(anonymous: httpx.AsyncClient, method: str, path: str) -> None:
    response = await anonymous.request(method, f"/v1/models/{UNKNOWN_MODEL}/trainings{path}")
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_foreign_training_is_answered_like_an_unknown_one(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, trainings: str, bundle_id: str, method: str
) -> None:
    training_id = (await api.post(trainings, json={"dataBundleIds": [bundle_id]})).json()["trainingId"]
    body = {"status": "cancelled"} if method == "PATCH" else None
    foreign = await other_api.request(method, f"{trainings}/{training_id}", json=body)
    unknown = await other_api.request(method, f"/v1/models/{UNKNOWN_MODEL}/trainings/{UNKNOWN}", json=body)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content.replace(UNKNOWN.encode(), training_id.encode())
    assert (await api.get(f"{trainings}/{training_id}")).json()["status"] == "pending"


async def test_trainings_of_a_foreign_model_are_answered_like_those_of_an_unknown_one(
    other_api: httpx.AsyncClient, trainings: str, model_id: str
) -> None:
    for method, body in (("GET", None), ("POST", {})):
        foreign = await other_api.request(method, trainings, json=body)
        unknown = await other_api.request(method, f"/v1/models/{UNKNOWN_MODEL}/trainings", json=body)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content.replace(UNKNOWN_MODEL.encode(), model_id.encode())


async def test_new_training_has_the_documented_defaults_and_a_job(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, trainings: str, bundle_id: str
) -> None:
    body = {"dataBundleIds": [bundle_id, bundle_id], "name": None, "instanceType": None}
    training = (await api.post(trainings, json=body)).json()
    assert set(training) == KEYS
    assert (training["status"], training["instanceType"]) == ("pending", "small-gpu")
    assert (training["evaluation"], training["gpuHours"], training["metadata"]) == ({}, None, None)
    assert training["dataBundleIds"] == [bundle_id]
    assert training["createdBy"] == organization.app_client_id
    response = await api.get(f"{trainings}/{training['trainingId']}")
    assert response.json() == training
    (job,) = await jobs_of(pool, training["trainingId"])
    assert (job["kind"], job["state"], job["priority"]) == ("training", "queued", 10)
    assert await used(pool, organization.organization_id, "trainings") == 1


async def test_finished_training_has_its_evaluation(
    api: httpx.AsyncClient, pool: asyncpg.Pool, trainings: str, bundle_id: str
) -> None:
    training_id = (await api.post(trainings, json={"dataBundleIds": [bundle_id]})).json()["trainingId"]
    job = await claim_job(pool, TRAINING)
    result = TrainingResult(evaluation={"accuracy": 0.5}, artefact_key="prefix/", gpu_hours=0.25)
    async with pool.acquire() as connection:
        await outcomes.finish(connection, TRAINING, job, result)
    training = (await api.get(f"{trainings}/{training_id}")).json()
    assert (training["status"], training["evaluation"]) == ("succeeded", {"accuracy": 0.5})
    assert training["gpuHours"] == 0.25


async def test_the_progress_is_shown_while_the_training_runs(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, trainings: str, bundle_id: str
) -> None:
    training_id = (await api.post(trainings, json={"dataBundleIds": [bundle_id]})).json()["trainingId"]
    job = await claim_job(pool, TRAINING)
    progress = {"step": 12, "steps": 600, "loss": 0.5, "f1": None, "secondsLeft": 88.0}
    values: dict[str, Any] = {
        "organization_id": organization.organization_id,
        "training_id": training_id,
        "curve": [[1.0, 12, 0.5, None]],
        "job_id": job.id,
    }
    async with pool.acquire() as connection:
        former = job.attempt - 1
        assert not await set_training_progress(connection, **values, progress=progress, attempt=former)
        assert "progress" not in (await api.get(f"{trainings}/{training_id}")).json()
        await pool.execute("UPDATE training SET status = 'running'")
        assert await set_training_progress(connection, **values, progress=progress, attempt=job.attempt)
        assert (await api.get(f"{trainings}/{training_id}")).json()["progress"] == progress
        assert (await api.get(trainings)).json()["trainings"][0]["progress"] == progress
        result = TrainingResult(evaluation={}, artefact_key="prefix/", gpu_hours=0.0)
        await outcomes.finish(connection, TRAINING, job, result)
    assert set((await api.get(f"{trainings}/{training_id}")).json()) == KEYS


async def test_a_failed_training_says_why(
    api: httpx.AsyncClient, pool: asyncpg.Pool, trainings: str, bundle_id: str
) -> None:
    training_id = (await api.post(trainings, json={"dataBundleIds": [bundle_id]})).json()["trainingId"]
    job = await claim_job(pool, TRAINING)
    async with pool.acquire() as connection:
        await outcomes.fail(connection, TRAINING, job, BadRequest("dataBundleIds: nothing is labelled"))
        failed = (await api.get(f"{trainings}/{training_id}")).json()
        assert (failed["status"], failed["error"]) == ("failed", "dataBundleIds: nothing is labelled")
        await retry_job(connection, KINDS, training_id)
    assert set((await api.get(f"{trainings}/{training_id}")).json()) == KEYS


async def test_the_answer_has_the_warm_start_and_the_other_members_sent(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    trainings: str,
    bundle_id: str,
    model_id: str,
) -> None:
    base = await seed_training(pool, organization.organization_id, model_id)
    body = {
        "dataBundleIds": [bundle_id],
        "warmStartConfig": {"trainingId": base},
        "instanceType": "large-gpu",
        "metadata": {"k": "v"},
        "name": "n",
        "description": "d",
    }
    training = (await api.post(trainings, json=body)).json()
    assert {key: training[key] for key in body} == body


async def test_asking_for_a_data_scientist_waits_for_approval(
    api: httpx.AsyncClient, pool: asyncpg.Pool, trainings: str, bundle_id: str
) -> None:
    body = {"dataBundleIds": [bundle_id], "dataScientistAssistance": True}
    training = (await api.post(trainings, json=body)).json()
    assert (training["status"], training["dataScientistAssistance"]) == ("waiting-for-approval", True)
    assert await jobs_of(pool, training["trainingId"]) == []
    path = f"{trainings}/{training['trainingId']}"
    assert (await api.patch(path, json={"status": "cancelled"})).json()["status"] == "cancelled"


async def test_many_documents_need_no_approval(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, trainings: str, model_id: str
) -> None:
    large = await seed_data_bundle(pool, organization.organization_id, model_id, documents=5000)
    assert (await api.post(trainings, json={"dataBundleIds": [large]})).json()["status"] == "pending"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dataBundleIds": []},
        {"dataBundleIds": [UNKNOWN_BUNDLE]},
        {"dataBundleIds": ["bundle"]},
        {"status": "running"},
    ],
)
async def test_bad_training_is_refused_and_nothing_is_stored(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, trainings: str, body: dict[str, Any]
) -> None:
    assert (await api.post(trainings, json=body)).status_code == 400
    assert (await api.get(trainings)).json() == {"trainings": [], "nextToken": None}
    assert await pool.fetchval("SELECT count(*) FROM job") == 0
    assert await used(pool, organization.organization_id, "trainings") == 0


@pytest.mark.parametrize(
    "members",
    [
        {"instanceType": "tiny"},
        {"warmStartConfig": {}},
        {"warmStartConfig": {"trainingId": UNKNOWN}},
        {"dataScientistAssistance": None},
        {"metadata": {"a": "x" * 5000}},
    ],
)
async def test_bad_member_is_refused(
    api: httpx.AsyncClient, trainings: str, bundle_id: str, members: dict[str, Any]
) -> None:
    response = await api.post(trainings, json={"dataBundleIds": [bundle_id], **members})
    assert response.status_code == 400
    assert (await api.get(trainings)).json()["trainings"] == []


@pytest.mark.parametrize("status", ["running", "failed"])
async def test_bundle_has_to_have_succeeded(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    trainings: str,
    model_id: str,
    status: str,
) -> None:
    bundle = await seed_data_bundle(pool, organization.organization_id, model_id, status=status)
    response = await api.post(trainings, json={"dataBundleIds": [bundle]})
    assert response.status_code == 400
    assert response.json()["message"] == f"dataBundleIds: {bundle} is {status}, it must have succeeded"


async def test_bundle_of_another_model_is_refused(
    api: httpx.AsyncClient, trainings: str, pool: asyncpg.Pool, organization: Tenant
) -> None:
    other = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    bundle = await seed_data_bundle(pool, organization.organization_id, other)
    foreign = await api.post(trainings, json={"dataBundleIds": [bundle]})
    unknown = await api.post(trainings, json={"dataBundleIds": [UNKNOWN_BUNDLE]})
    assert foreign.status_code == 400
    assert foreign.content == unknown.content.replace(UNKNOWN_BUNDLE.encode(), bundle.encode())


async def test_minimum_of_documents_counts_a_dataset_once(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, trainings: str, model_id: str
) -> None:
    dataset_id = new_id(DatasetId)

    async def bundle(documents: int) -> str:
        return await seed_data_bundle(
            pool, organization.organization_id, model_id, documents=documents, dataset_id=dataset_id
        )

    response = await api.post(trainings, json={"dataBundleIds": [await bundle(4), await bundle(4)]})
    assert response.status_code == 400
    assert response.json()["message"].endswith("at least 5 documents, there are 4")
    assert (await api.post(trainings, json={"dataBundleIds": [await bundle(5)]})).status_code == 200


async def test_the_plan_limits_trainings(
    limited_api: httpx.AsyncClient, pool: asyncpg.Pool, limited_organization: Tenant
) -> None:
    model = (await limited_api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    body = {"dataBundleIds": [await seed_data_bundle(pool, limited_organization.organization_id, model)]}
    assert (await limited_api.post(f"/v1/models/{model}/trainings", json=body)).status_code == 200
    refused = await limited_api.post(f"/v1/models/{model}/trainings", json=body)
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    assert await pool.fetchval("SELECT count(*) FROM job") == 1


async def test_list_filters_by_status_and_has_pages(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, trainings: str, model_id: str
) -> None:
    made = {
        status: await seed_training(pool, organization.organization_id, model_id, status=status)
        for status in ("pending", *FINAL)
    }
    some = (await api.get(trainings, params={"status": ["failed", "pending"]})).json()
    assert {item["trainingId"] for item in some["trainings"]} == {made["pending"], made["failed"]}
    assert some["status"] == ["failed", "pending"]
    first = (await api.get(trainings, params={"maxResults": 3})).json()
    rest = (await api.get(trainings, params={"maxResults": 3, "nextToken": first["nextToken"]})).json()
    ids = [item["trainingId"] for item in [*first["trainings"], *rest["trainings"]]]
    assert (ids, rest["nextToken"]) == (list(made.values()), None)
    assert (await api.get(trainings, params={"status": "aborted"})).status_code == 400


async def test_update_keeps_members_that_are_not_sent(
    api: httpx.AsyncClient, organization: Tenant, trainings: str, bundle_id: str
) -> None:
    body = {"dataBundleIds": [bundle_id], "name": "n", "description": "d", "metadata": {"k": 1}}
    training = (await api.post(trainings, json=body)).json()
    path = f"{trainings}/{training['trainingId']}"
    updated = (await api.patch(path, json={"description": None})).json()
    assert updated == {
        **training,
        "description": None,
        "updatedTime": updated["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    assert (await api.patch(path, json={"metadata": None})).json()["metadata"] == {}
    assert (await api.patch(path, json={"deploymentEnvironmentId": None})).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "running"},
        {"status": None},
        {"evaluation": {}},
        {"deploymentEnvironmentId": "las:deployment-environment:unknown"},
        {"deploymentEnvironmentId": "unknown"},
    ],
)
async def test_bad_update_changes_nothing(
    api: httpx.AsyncClient, trainings: str, bundle_id: str, body: dict[str, Any]
) -> None:
    training = (await api.post(trainings, json={"dataBundleIds": [bundle_id]})).json()
    path = f"{trainings}/{training['trainingId']}"
    assert (await api.patch(path, json=body)).status_code == 400
    assert (await api.get(path)).json() == training


async def test_queued_training_is_cancelled_at_once(
    api: httpx.AsyncClient, pool: asyncpg.Pool, trainings: str, bundle_id: str
) -> None:
    training_id = (await api.post(trainings, json={"dataBundleIds": [bundle_id]})).json()["trainingId"]
    cancelled = await api.patch(f"{trainings}/{training_id}", json={"status": "cancelled", "name": "n"})
    assert (cancelled.json()["status"], cancelled.json()["name"]) == ("cancelled", "n")
    assert [job["state"] for job in await jobs_of(pool, training_id)] == ["cancelled"]


async def test_running_training_is_cancelled_and_its_result_dropped(
    api: httpx.AsyncClient, pool: asyncpg.Pool, trainings: str, bundle_id: str
) -> None:
    training_id = (await api.post(trainings, json={"dataBundleIds": [bundle_id]})).json()["trainingId"]
    job = await claim_job(pool, TRAINING)
    path = f"{trainings}/{training_id}"
    assert (await api.patch(path, json={"status": "cancelled"})).json()["status"] == "cancelled"
    assert (await api.patch(path, json={"status": "cancelled"})).status_code == 400
    assert [row["cancel_requested"] for row in await jobs_of(pool, training_id)] == [True]
    async with pool.acquire() as connection:
        await outcomes.finish(
            connection, TRAINING, job, TrainingResult(evaluation={}, artefact_key="prefix/", gpu_hours=1.0)
        )
    assert (await api.get(path)).json()["status"] == "cancelled"
    assert [row["state"] for row in await jobs_of(pool, training_id)] == ["cancelled"]


@pytest.mark.parametrize("status", FINAL)
async def test_training_in_a_final_state_cannot_be_cancelled(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    trainings: str,
    model_id: str,
    status: str,
) -> None:
    training_id = await seed_training(pool, organization.organization_id, model_id, status=status)
    response = await api.patch(f"{trainings}/{training_id}", json={"status": "cancelled", "name": "n"})
    assert response.status_code == 400
    training = (await api.get(f"{trainings}/{training_id}")).json()
    assert (training["status"], training["name"]) == (status, None)


async def test_a_training_in_its_final_evaluation_still_runs(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, model_id: str
) -> None:
    status = "running-final-evaluation"
    training_id = await seed_training(pool, organization.organization_id, model_id, status=status)
    listed = (await api.get(f"/v1/models/{model_id}/trainings", params={"status": status})).json()
    assert [training["trainingId"] for training in listed["trainings"]] == [training_id]
    assert (await api.get(f"/v1/models/{model_id}")).json()["numberOfRunningTrainings"] == 1
