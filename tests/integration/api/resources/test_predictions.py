"""Predictions through HTTP; the test ends the jobs itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.errors import DocumentUnreadable, LimitExceeded, PagemillError, Unavailable
from pagemill.jobs import outcomes
from pagemill.jobs.job import Job
from pagemill.work.predictions import PREDICTION, PredictionResult
from tests.support.queries import round_trips
from tests.support.seeds import claim_job, jobs_of, seed_document, seed_training, used
from tests.support.tenants import Tenant

UNKNOWN = f"las:prediction:{'0' * 32}"
UNKNOWN_DOCUMENT = f"las:document:{'0' * 32}"
UNKNOWN_MODEL = "las:model:unknown"
DEFAULTS = {"imageQuality": "LOW", "autoRotate": False, "maxPages": 1, "startPage": 0}
FOUND = [
    {"label": "total", "value": "128.50", "rawValue": "128,50", "confidence": 0.98, "page": 0},
    {"label": "due_date", "value": None, "confidence": 0.91, "page": 0},
]
KEYS = {
    "createdBy",
    "createdTime",
    "documentId",
    "error",
    "inferenceTime",
    "modelId",
    "nextPage",
    "postprocessConfig",
    "predictionId",
    "predictions",
    "preprocessConfig",
    "status",
    "trainingId",
}

Work = Callable[[Job], Awaitable[None]]


@pytest.fixture
async def model_id(api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant) -> str:
    """An active model."""
    model_id: str = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    await activate(api, pool, organization, model_id)
    return model_id


@pytest.fixture
async def body(pool: asyncpg.Pool, organization: Tenant, model_id: str) -> dict[str, Any]:
    """A request that succeeds."""
    return {"documentId": await seed_document(pool, organization.organization_id), "modelId": model_id}


async def activate(api: httpx.AsyncClient, pool: asyncpg.Pool, tenant: Tenant, model_id: str) -> str:
    training_id = await seed_training(pool, tenant.organization_id, model_id)
    assert (await api.patch(f"/v1/models/{model_id}", json={"trainingId": training_id})).status_code == 200
    return training_id


async def finish(pool: asyncpg.Pool, job: Job, **members: Any) -> None:
    """What a worker does with a prediction that it has made."""
    row = await pool.fetchrow("SELECT preprocess_config FROM prediction WHERE id = $1", job.subject_id)
    values = {
        "predictions": FOUND,
        "inference_time": 1.5,
        "next_page": None,
        "preprocess_config": row["preprocess_config"],
        "pages": 1,
        "fields": 1,
        **members,
    }
    async with pool.acquire() as connection:
        await outcomes.finish(connection, PREDICTION, job, PredictionResult(**values))


async def fail(pool: asyncpg.Pool, job: Job, error: PagemillError) -> None:
    async with pool.acquire() as connection:
        await outcomes.fail(connection, PREDICTION, job, error)


@pytest.fixture
async def worker(pool: asyncpg.Pool) -> AsyncIterator[Callable[[Work], None]]:
    """Has the next job done in the background; what went wrong with it is raised at the end."""
    tasks: list[asyncio.Task[None]] = []

    async def work(do: Work) -> None:
        await do(await claim_job(pool, PREDICTION))

    yield lambda do: tasks.append(asyncio.create_task(work(do)))
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/predictions"), ("GET", "/v1/predictions"), ("GET", f"/v1/predictions/{UNKNOWN}")],
)
async def test_anonymous_is_refused(anonymous: httpx.AsyncClient, method: str, path: str) -> None:
    response = await anonymous.request(method, path)
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


async def test_foreign_prediction_is_answered_like_an_unknown_one(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    prediction = (await api.post("/v1/predictions", json={**body, "async": True})).json()
    foreign = await other_api.get(f"/v1/predictions/{prediction['predictionId']}")
    unknown = await other_api.get(f"/v1/predictions/{UNKNOWN}")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content.replace(UNKNOWN.encode(), prediction["predictionId"].encode())
    assert (await other_api.get("/v1/predictions")).json() == {"predictions": [], "nextToken": None}


@pytest.mark.parametrize(
    ("member", "unknown_id"), [("documentId", UNKNOWN_DOCUMENT), ("modelId", UNKNOWN_MODEL)]
)
async def test_foreign_document_and_model_are_answered_like_unknown_ones(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    other_organization: Tenant,
    body: dict[str, Any],
    member: str,
    unknown_id: str,
) -> None:
    model = (await other_api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    await activate(other_api, pool, other_organization, model)
    document = await seed_document(pool, other_organization.organization_id)
    foreign_id = {"documentId": document, "modelId": model}[member]
    unknown = await api.post("/v1/predictions", json={**body, member: unknown_id})
    references = [foreign_id]
    if member == "modelId":
        references.append(f"{other_organization.organization_id}/{foreign_id}")
    for reference in references:
        foreign = await api.post("/v1/predictions", json={**body, member: reference})
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content.replace(unknown_id.encode(), foreign_id.encode())
    assert await pool.fetchval("SELECT count(*) FROM prediction") == 0


async def test_asynchronous_prediction_is_pending_then_succeeded(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any]
) -> None:
    prediction = (await api.post("/v1/predictions", json={**body, "async": True})).json()
    assert set(prediction) == KEYS
    assert (prediction["status"], prediction["predictions"], prediction["error"]) == ("pending", None, None)
    assert (prediction["inferenceTime"], prediction["nextPage"]) == (None, None)
    assert (prediction["documentId"], prediction["modelId"]) == (body["documentId"], body["modelId"])
    assert prediction["createdBy"] == organization.app_client_id
    assert prediction["preprocessConfig"] == DEFAULTS
    assert prediction["postprocessConfig"] == {"strategy": "BEST_FIRST"}
    assert (await api.get(f"/v1/predictions/{prediction['predictionId']}")).json() == prediction
    job = await claim_job(pool, PREDICTION)
    assert job.subject_id == prediction["predictionId"]
    await finish(pool, job)
    done = (await api.get(f"/v1/predictions/{prediction['predictionId']}")).json()
    assert done == {**prediction, "status": "succeeded", "predictions": FOUND, "inferenceTime": 1.5}
    assert await used(pool, organization.organization_id, "predictions") == 1


async def test_failed_asynchronous_prediction_keeps_its_error(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any]
) -> None:
    prediction = (await api.post("/v1/predictions", json={**body, "async": True})).json()
    await fail(pool, await claim_job(pool, PREDICTION), DocumentUnreadable("the PDF is encrypted"))
    failed = (await api.get(f"/v1/predictions/{prediction['predictionId']}")).json()
    assert (failed["status"], failed["error"]) == ("failed", "the PDF is encrypted")
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_synchronous_prediction_waits_for_its_job(
    api: httpx.AsyncClient, pool: asyncpg.Pool, worker: Callable[[Work], None], body: dict[str, Any]
) -> None:
    nested = {"total": [{"value": "1.00", "confidence": 0.9, "page": 0}]}
    worker(lambda job: finish(pool, job, predictions=nested, next_page=3, inference_time=0.25))
    response = await api.post("/v1/predictions", json={**body, "async": False})
    prediction = response.json()
    assert response.status_code == 200
    assert (prediction["status"], prediction["predictions"]) == ("succeeded", nested)
    assert (prediction["nextPage"], prediction["inferenceTime"]) == (3, 0.25)
    (job,) = await jobs_of(pool, prediction["predictionId"])
    assert (job["kind"], job["priority"]) == ("prediction", 0)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DocumentUnreadable("the PDF is encrypted"), 400, "the PDF is encrypted"),
        (LimitExceeded(), 429, "Limit Exceeded"),
        (Unavailable("the workers are away"), 503, "the workers are away"),
        (PagemillError("a secret of the inside"), 500, "Internal Server Error"),
    ],
)
async def test_synchronous_failure_is_an_error_and_leaves_no_prediction(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    worker: Callable[[Work], None],
    body: dict[str, Any],
    error: PagemillError,
    status: int,
    message: str,
) -> None:
    worker(lambda job: fail(pool, job, error))
    response = await api.post("/v1/predictions", json=body)
    assert (response.status_code, response.json()["message"]) == (status, message)
    assert (await api.get("/v1/predictions")).json()["predictions"] == []
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_synchronous_prediction_goes_on_after_its_deadline(
    api: httpx.AsyncClient, pool: asyncpg.Pool, body: dict[str, Any]
) -> None:
    response = await api.post("/v1/predictions", json=body)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert set(response.json()) == {"message", "predictionId"}
    await finish(pool, await claim_job(pool, PREDICTION))
    prediction = (await api.get(f"/v1/predictions/{response.json()['predictionId']}")).json()
    assert (prediction["status"], prediction["predictions"]) == ("succeeded", FOUND)


async def test_request_repeated_after_its_deadline_waits_for_the_same_prediction(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any]
) -> None:
    """Official clients repeat a POST on 503, without a key that says so."""
    first = await api.post("/v1/predictions", json=body)
    again = await api.post("/v1/predictions", json=body)
    assert [first.status_code, again.status_code] == [503, 503]
    assert again.json()["predictionId"] == first.json()["predictionId"]
    assert await used(pool, organization.organization_id, "predictions") == 1
    job = await claim_job(pool, PREDICTION)
    waiting = asyncio.create_task(api.post("/v1/predictions", json=body))
    await finish(pool, job)
    answered = (await waiting).json()
    assert answered["predictionId"] == first.json()["predictionId"]
    assert answered["predictions"] == FOUND
    # It is answered now: the next one is another.
    another = await api.post("/v1/predictions", json=body)
    assert another.json()["predictionId"] != first.json()["predictionId"]


@pytest.mark.parametrize(
    "change",
    [
        {"async": True},
        {"preprocessConfig": {"maxPages": 2}},
        {"postprocessConfig": {"strategy": "BEST_FIRST", "outputFormat": "v2"}},
    ],
)
async def test_another_request_after_the_deadline_is_another_prediction(
    api: httpx.AsyncClient, body: dict[str, Any], change: dict[str, Any]
) -> None:
    first = (await api.post("/v1/predictions", json=body)).json()["predictionId"]
    assert (await api.post("/v1/predictions", json=body | change)).json()["predictionId"] != first


async def test_equal_requests_that_still_wait_are_separate_predictions(
    api: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    answers = await asyncio.gather(*(api.post("/v1/predictions", json=body) for _ in range(3)))
    assert len({answer.json()["predictionId"] for answer in answers}) == 3


async def test_waiting_holds_no_connection(
    app: Litestar, api: httpx.AsyncClient, pool: asyncpg.Pool, body: dict[str, Any]
) -> None:
    """Twice as many wait as there are connections, and others are still answered."""
    size = app.state.pagemill.pool.get_max_size()
    waiting = [asyncio.create_task(api.post("/v1/predictions", json=body)) for _ in range(2 * size)]
    jobs = [await claim_job(pool, PREDICTION) for _ in waiting]
    async with asyncio.timeout(60):
        assert (await api.get("/v1/models")).status_code == 200
    for job in jobs:
        await finish(pool, job)
    for response in await asyncio.gather(*waiting):
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"preprocessConfig": {}}, "preprocessConfig"),
        ({"preprocessConfig": None}, "preprocessConfig"),
        ({"preprocessConfig": {"maxPages": 101}}, "maxPages"),
        ({"postprocessConfig": {"strategy": "BEST_N_PAGES"}}, "parameters"),
        ({"documentId": "unknown"}, "documentId"),
        ({"modelId": "unknown"}, "modelId"),
        ({"trainingId": "las:model-training:unknown"}, "trainingId"),
        ({"rotation": 45}, "rotation"),
        ({"async": "yes"}, "async"),
        ({"timestamp": 1}, "timestamp"),
    ],
)
async def test_bad_request_is_refused_and_nothing_is_stored(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    body: dict[str, Any],
    members: dict[str, Any],
    named: str,
) -> None:
    response = await api.post("/v1/predictions", json={**body, **members})
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert await pool.fetchval("SELECT (SELECT count(*) FROM prediction) + (SELECT count(*) FROM job)") == 0
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_document_without_content_is_refused(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any]
) -> None:
    empty = await seed_document(pool, organization.organization_id, content=False)
    response = await api.post("/v1/predictions", json={**body, "documentId": empty})
    assert response.status_code == 400
    assert "no content" in response.json()["message"]


async def test_inactive_model_needs_a_training(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any]
) -> None:
    active = (await api.get(f"/v1/models/{body['modelId']}")).json()["trainingId"]
    await api.patch(f"/v1/models/{body['modelId']}", json={"trainingId": None})
    refused = await api.post("/v1/predictions", json={**body, "async": True})
    assert refused.status_code == 400
    assert body["modelId"] in refused.json()["message"]
    accepted = await api.post("/v1/predictions", json={**body, "async": True, "trainingId": active})
    assert accepted.json()["trainingId"] == active


async def test_trainingid_of_the_request_is_used_before_the_models(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any]
) -> None:
    organization_id = organization.organization_id
    active = (await api.get(f"/v1/models/{body['modelId']}")).json()["trainingId"]
    other = await seed_training(pool, organization_id, body["modelId"])
    running = await seed_training(pool, organization_id, body["modelId"], status="running")
    body = {**body, "async": True}
    assert (await api.post("/v1/predictions", json=body)).json()["trainingId"] == active
    named = await api.post("/v1/predictions", json={**body, "trainingId": other})
    assert named.json()["trainingId"] == other
    assert (await api.post("/v1/predictions", json={**body, "trainingId": running})).status_code == 400


async def test_own_model_is_found_by_its_composite_id(
    api: httpx.AsyncClient, organization: Tenant, body: dict[str, Any]
) -> None:
    reference = f"{organization.organization_id}/{body['modelId']}"
    prediction = (
        await api.post("/v1/predictions", json={**body, "modelId": reference, "async": True})
    ).json()
    assert prediction["modelId"] == reference
    listed = (await api.get("/v1/predictions", params={"modelId": reference})).json()
    assert [item["predictionId"] for item in listed["predictions"]] == [prediction["predictionId"]]


async def test_precedence_of_preprocess_config(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    model_config = {"preprocessConfig": {"maxPages": 9, "rotation": 90, "imageQuality": "HIGH"}}
    await api.patch(f"/v1/models/{body['modelId']}", json=model_config)
    request = {
        **body,
        "async": True,
        "preprocessConfig": {"startPage": 2, "maxPages": 3},
        "maxPages": 5,
        "rotation": 180,
        "autoRotate": True,
    }
    prediction = (await api.post("/v1/predictions", json=request)).json()
    assert prediction["preprocessConfig"] == {
        "imageQuality": "HIGH",
        "autoRotate": True,
        "maxPages": 3,
        "startPage": 2,
        "rotation": 180,
    }


async def test_precedence_of_postprocess_config(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    of_model = {"strategy": "BEST_N_PAGES", "parameters": {"n": 3}, "outputFormat": "v2"}
    await api.patch(f"/v1/models/{body['modelId']}", json={"postprocessConfig": of_model})
    body = {**body, "async": True}
    assert (await api.post("/v1/predictions", json=body)).json()["postprocessConfig"] == of_model
    of_request = {"strategy": "BEST_FIRST"}
    prediction = (await api.post("/v1/predictions", json={**body, "postprocessConfig": of_request})).json()
    assert prediction["postprocessConfig"] == of_request


async def test_statements_of_a_prediction(
    api: httpx.AsyncClient, pool: asyncpg.Pool, body: dict[str, Any]
) -> None:
    with round_trips() as run:
        assert (await api.post("/v1/predictions", json={**body, "async": True})).status_code == 200
    # Each is a round trip that the caller waits for; one statement is a transaction by itself.
    assert run == [
        "principals.find_principal",
        "predictions.get_requested",
        "prediction_jobs.submit_prediction",
    ]


async def test_the_plan_limits_predictions(
    limited_api: httpx.AsyncClient, pool: asyncpg.Pool, limited_organization: Tenant
) -> None:
    body = await limited_body(limited_api, pool, limited_organization)
    assert (await limited_api.post("/v1/predictions", json=body)).status_code == 200
    refused = await limited_api.post("/v1/predictions", json=body)
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    assert await pool.fetchval("SELECT count(*) FROM prediction") == 1
    await fail(pool, await claim_job(pool, PREDICTION), DocumentUnreadable("damaged"))
    assert (await limited_api.post("/v1/predictions", json=body)).status_code == 200


@pytest.mark.parametrize(("meter", "status"), [("pages", 429), ("fields", 200)])
async def test_used_up_pages_are_refused_before_anything_is_read(
    limited_api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    limited_organization: Tenant,
    meter: str,
    status: int,
) -> None:
    """This plan limits pages, so that fields do not count."""
    body = await limited_body(limited_api, pool, limited_organization)
    await pool.execute(
        """
        INSERT INTO usage_counter (organization_id, month, meter, used)
        VALUES ($1, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM'), $2, 1)
        """,
        limited_organization.organization_id,
        meter,
    )
    response = await limited_api.post("/v1/predictions", json=body)
    assert response.status_code == status
    if status == 429:
        assert response.json()["message"] == "Limit Exceeded"
        assert await used(pool, limited_organization.organization_id, "predictions") == 0


async def limited_body(api: httpx.AsyncClient, pool: asyncpg.Pool, tenant: Tenant) -> dict[str, Any]:
    model_id = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    await activate(api, pool, tenant, model_id)
    document_id = await seed_document(pool, tenant.organization_id)
    return {"documentId": document_id, "modelId": model_id, "async": True}


async def test_list_has_both_orders_and_pages_and_echoes_filters(
    api: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    body = {**body, "async": True}
    made = [(await api.post("/v1/predictions", json=body)).json()["predictionId"] for _ in range(5)]

    async def listed(**query: Any) -> list[str]:
        ids, token = [], None
        while True:
            parameters = query | ({"nextToken": token} if token else {})
            page = (await api.get("/v1/predictions", params={"maxResults": 2, **parameters})).json()
            assert {key: page.get(key) for key in query} == query
            ids += [item["predictionId"] for item in page["predictions"]]
            token = page["nextToken"]
            if token is None:
                return ids

    assert await listed() == made
    assert await listed(order="ascending", sortBy="createdTime") == made
    assert await listed(order="descending") == made[::-1]
    assert await listed(modelId=body["modelId"]) == made
    assert await listed(modelId=UNKNOWN_MODEL) == []


@pytest.mark.parametrize(
    "query", [{"order": "up"}, {"sortBy": "name"}, {"maxResults": 0}, {"nextToken": "foo"}]
)
async def test_bad_query_is_refused(api: httpx.AsyncClient, query: dict[str, Any]) -> None:
    assert (await api.get("/v1/predictions", params=query)).status_code == 400
