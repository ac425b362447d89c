"""Shared models: other organizations can see them and predict with them, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from click.testing import CliRunner

from pagemill.applications.clients import ApplicationClient, PredictionApplication, ReadingApplication
from pagemill.applications.requests import PredictionRequest, ReadingRequest, ReadingResponse
from pagemill.cli import main
from pagemill.documents.words import DocumentPages
from pagemill.errors import BadRequest
from pagemill.extraction.types import ReadOptions
from pagemill.jobs import outcomes
from pagemill.objects import ObjectStore
from pagemill.settings import Settings
from pagemill.work.predictions import PREDICTION, PredictionRunner
from tests.support.seeds import claim_job, seed_document, seed_training, used
from tests.support.tenants import Tenant

FIELDS = {"total": {"type": "amount"}, "items": {"type": "lines", "fields": {"qty": {"type": "numeric"}}}}
FOUND = [{"label": "total", "value": "1.00", "confidence": 0.95, "page": 0}]


@pytest.fixture
async def model(other_api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant) -> str:
    """An active model of the other organization, shared; its composite id."""
    created = (await other_api.post("/v1/models", json={"name": "theirs", "fieldConfig": FIELDS})).json()
    owner = other_organization.organization_id
    training_id = await seed_training(pool, owner, created["modelId"])
    await pool.execute(
        "UPDATE training SET artefact_key = $2 WHERE id = $1", training_id, f"{owner}/artefact/"
    )
    await other_api.patch(f"/v1/models/{created['modelId']}", json={"trainingId": training_id})
    await share(pool, created["modelId"])
    return f"{owner}/{created['modelId']}"


async def share(pool: asyncpg.Pool, model_id: str, *, shared: bool = True) -> None:
    await pool.execute("UPDATE model SET shared = $2 WHERE id = $1", model_id.rpartition("/")[2], shared)


class Handle:
    """A Serve handle that answers and records its requests."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.model_id = ""
        self.read = self.predict = self

    def options(self, *, multiplexed_model_id: str) -> Handle:
        self.model_id = multiplexed_model_id
        return self

    async def remote(self, request: ReadingRequest | PredictionRequest) -> Any:
        self.asked.append(request)
        return self.answer


def applications(reading: Any, prediction: Any, objects: ObjectStore) -> ApplicationClient:
    """Return a client of two handles."""
    return ApplicationClient(
        ReadingApplication(reading), PredictionApplication(prediction, objects), parts_at_once=2
    )


class NoUsage:
    async def reserve(self, *_arguments: Any, attempt: int) -> None:
        """Count nothing."""


@pytest.mark.parametrize("separator", ["/", "%2F", "%2f"])
async def test_a_shared_model_is_shown_with_its_owner(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, model: str, separator: str
) -> None:
    owner, _, model_id = model.rpartition("/")
    shown = await api.get(f"/v1/models/{owner}{separator}{model_id}")
    assert shown.status_code == 200
    await other_api.patch(f"/v1/models/{model_id}", json={"metadata": {"note": "ours"}})
    theirs = (await other_api.get(f"/v1/models/{model_id}")).json()
    shown = await api.get(f"/v1/models/{owner}{separator}{model_id}")
    hidden = dict.fromkeys(("metadata", "createdBy", "updatedBy"))
    assert None not in [theirs[member] for member in hidden]
    assert shown.json() == {**theirs, **hidden}
    listed = (await api.get("/v1/models", params={"owner": owner})).json()["models"]
    assert listed == [{**theirs, **hidden, "statistics": listed[0]["statistics"]}]
    assert (shown.json()["modelId"], shown.json()["organizationId"]) == (model_id, owner)


async def test_a_model_that_is_no_longer_shared_is_unknown(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, model: str
) -> None:
    await share(pool, model, shared=False)
    assert (await api.get(f"/v1/models/{model}")).status_code == 404
    body = {
        "documentId": await seed_document(pool, organization.organization_id),
        "modelId": model,
        "async": True,
    }
    assert (await api.post("/v1/predictions", json=body)).status_code == 404


async def test_a_shared_model_needs_its_owner_in_the_path(
    api: httpx.AsyncClient, organization: Tenant, model: str
) -> None:
    model_id = model.rpartition("/")[2]
    for path in (model_id, f"{organization.organization_id}/{model_id}", f"las:organization:x/{model_id}"):
        unknown = await api.get(f"/v1/models/{path}")
        assert (unknown.status_code, unknown.json()) == (404, {"message": f"Model {model_id} not found"})


@pytest.mark.parametrize(
    ("method", "below", "body"),
    [
        ("PATCH", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("GET", "/trainings", None),
        ("POST", "/trainings", {}),
        ("GET", "/dataBundles", None),
        ("POST", "/dataBundles", {}),
    ],
)
async def test_only_the_owner_changes_a_shared_model(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    model: str,
    method: str,
    below: str,
    body: dict[str, Any] | None,
) -> None:
    response = await api.request(method, f"/v1/models/{model}{below}", json=body)
    model_id = model.rpartition("/")[2]
    assert (response.status_code, response.json()) == (404, {"message": f"Model {model_id} not found"})
    assert (await other_api.get(f"/v1/models/{model_id}")).json()["name"] == "theirs"


async def test_lists_by_owner(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    organization: Tenant,
    other_organization: Tenant,
    model: str,
) -> None:
    own = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    await other_api.post("/v1/models", json={"fieldConfig": {}})
    shared, me, owner = model.rpartition("/")[2], organization.organization_id, model.partition("/")[0]

    async def listed(*owners: str) -> list[str]:
        found, token = [], ""
        while token is not None:
            query = [("owner", name) for name in owners] + [("maxResults", "1"), ("nextToken", token)]
            page = (await api.get("/v1/models", params=query)).json()
            found += [item["modelId"] for item in page["models"]]
            token = page["nextToken"]
        return found

    assert await listed() == await listed("me") == await listed(me) == [own]
    assert await listed(owner) == [shared]
    assert await listed(owner, "me") == await listed(me, owner, "las:organization:unknown") == [shared, own]
    assert await listed("las:organization:cradl") == []
    assert len((await other_api.get("/v1/models", params={"owner": "me"})).json()["models"]) == 2


async def test_a_prediction_with_a_shared_model_belongs_to_the_caller(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    other_organization: Tenant,
    model: str,
) -> None:
    owner, _, model_id = model.rpartition("/")
    document_id = await seed_document(pool, organization.organization_id)
    body = {"documentId": document_id, "modelId": model, "async": True}
    pending = (await api.post("/v1/predictions", json=body)).json()
    assert pending["modelId"] == model

    pages = DocumentPages(content_key="key", options=ReadOptions(), number_of_pages=1, indexes=[0])
    reading = Handle(ReadingResponse(pages=pages, missing=[], next_page=None))
    predicting = Handle(FOUND)
    job = await claim_job(pool, PREDICTION)
    result = await PredictionRunner(pool, applications(reading, predicting, objects), NoUsage())(job)
    assert predicting.model_id == f"{owner}/artefact/"
    async with pool.acquire() as connection:
        await outcomes.finish(connection, PREDICTION, job, result)

    path = f"/v1/predictions/{pending['predictionId']}"
    done = (await api.get(path)).json()
    assert (done["status"], done["predictions"], done["modelId"]) == ("succeeded", FOUND, model)
    assert done["trainingId"] == (await api.get(f"/v1/models/{model}")).json()["trainingId"]
    assert (await other_api.get(path)).status_code == 404
    listed = (await api.get("/v1/predictions", params={"modelId": model})).json()
    assert (listed["modelId"], listed["predictions"]) == (model, [done])
    for meter in ("predictions", "pages", "fields", "active-models"):
        assert await used(pool, organization.organization_id, meter) == 1, meter
        assert await used(pool, owner, meter) == 0, meter
    # Each organization has statistics of its own predictions only.
    assert (await api.get(f"/v1/models/{model}")).json()["statistics"]["fields"]["total"] == {
        "automationRate": 1.0,
        "numberOfPredictions": 1,
        "accuracy": None,
        "numberOfChecked": 0,
    }
    assert (await other_api.get(f"/v1/models/{model_id}")).json()["statistics"] is None


async def test_a_training_of_the_shared_model_can_be_named(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, model: str
) -> None:
    owner, _, model_id = model.rpartition("/")
    named = await seed_training(pool, owner, model_id)
    body = {
        "documentId": await seed_document(pool, organization.organization_id),
        "modelId": model,
        "async": True,
    }
    prediction = await api.post("/v1/predictions", json={**body, "trainingId": named})
    assert prediction.json()["trainingId"] == named
    own_model = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    mine = await seed_training(pool, organization.organization_id, own_model)
    refused = await api.post("/v1/predictions", json={**body, "trainingId": mine})
    assert (refused.status_code, "trainingId" in refused.text) == (400, True)


async def test_waiting_predictions_fail_when_sharing_ends(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    model: str,
) -> None:
    body = {
        "documentId": await seed_document(pool, organization.organization_id),
        "modelId": model,
        "async": True,
    }
    assert (await api.post("/v1/predictions", json=body)).status_code == 200
    await share(pool, model, shared=False)
    runner = PredictionRunner(pool, applications(Handle(None), Handle(None), objects), NoUsage())
    with pytest.raises(BadRequest, match="trainingId"):
        await runner(await claim_job(pool, PREDICTION))


@pytest.mark.parametrize("named", ["plain", "composite"])
async def test_the_operator_starts_and_ends_sharing(
    api: httpx.AsyncClient, settings: Settings, model: str, named: str
) -> None:
    model_id = model if named == "composite" else model.rpartition("/")[2]
    for command, status in (("unshare", 404), ("share", 200)):
        assert await invoke(settings.database_url, command, model_id) == (0, f"{model}\n")
        assert (await api.get(f"/v1/models/{model}")).status_code == status


async def test_an_error_of_the_operator_is_one_line(settings: Settings, tmp_path: Path) -> None:
    unknown = await invoke(settings.database_url, "share", "las:model:none")
    assert unknown == (1, "pagemill: Model las:model:none not found\n")
    for database_url in ("postgresql://127.0.0.1:1/none", "nonsense", ""):
        status, output = await invoke(
            database_url, "share", "las:model:none", "--data-dir", str(tmp_path / "none")
        )
        assert (status, output.count("\n"), output[:9]) == (1, 1, "pagemill:")


async def invoke(database_url: str, *arguments: str) -> tuple[int, str]:
    """The command in a thread: it has an event loop of its own."""
    environment = {"PAGEMILL_DATABASE_URL": database_url}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["models", *arguments], env=environment)
    return result.exit_code, result.output
