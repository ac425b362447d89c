"""Shared datasets: other organizations can see them and learn from their documents, and nothing else."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest
from click.testing import CliRunner

from db.data_bundles import get_data_bundle_input
from db.documents import list_documents_to_bundle
from pagemill.cli import main
from pagemill.ids import DataBundleId
from tests.support.seeds import used
from tests.support.tenants import Tenant

PATH = "/v1/datasets"


async def invoke(database_url: str, *arguments: str) -> tuple[int, str]:
    """The command in a thread: it has an event loop of its own."""
    environment = {"PAGEMILL_DATABASE_URL": database_url}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["datasets", *arguments], env=environment)
    return result.exit_code, result.output


@pytest.fixture
async def shared(other_api: httpx.AsyncClient, database_url: str, other_organization: Tenant) -> str:
    """A dataset of the other organization with two documents, shared; its composite id."""
    body = {"name": "theirs", "metadata": {"note": "ours"}}
    dataset_id = (await other_api.post(PATH, json=body)).json()["datasetId"]
    for _ in range(2):
        await other_api.post("/v1/documents", json={"datasetId": dataset_id})
    status, output = await invoke(database_url, "share", dataset_id)
    composite = f"{other_organization.organization_id}/{dataset_id}"
    assert (status, output) == (0, f"{composite}\n")
    return composite


@pytest.mark.parametrize("separator", ["/", "%2F", "%2f"])
async def test_a_shared_dataset_is_shown_with_its_owner(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, shared: str, separator: str
) -> None:
    owner, _, dataset_id = shared.rpartition("/")
    theirs = (await other_api.get(f"{PATH}/{dataset_id}")).json()
    hidden = dict.fromkeys(("metadata", "createdBy", "updatedBy"))
    shown = await api.get(f"{PATH}/{owner}{separator}{dataset_id}")
    assert (shown.status_code, shown.json()) == (200, {**theirs, **hidden})
    assert (await api.get(PATH, params={"owner": owner})).json()["datasets"] == [{**theirs, **hidden}]
    assert (await other_api.get(f"{PATH}/{shared}")).json() == theirs
    assert (await other_api.get(PATH, params={"owner": "me"})).json()["datasets"] == [theirs]


async def test_what_is_not_shared_is_unknown(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, database_url: str, shared: str
) -> None:
    owner, _, dataset_id = shared.rpartition("/")
    private = (await other_api.post(PATH, json={})).json()["datasetId"]
    for path in (dataset_id, f"las:organization:x/{dataset_id}", f"{owner}/{private}"):
        assert (await api.get(f"{PATH}/{path}")).status_code == 404
    assert [
        one["datasetId"] for one in (await api.get(PATH, params={"owner": owner})).json()["datasets"]
    ] == [dataset_id]
    assert (await api.get(PATH)).json()["datasets"] == []
    assert (await invoke(database_url, "unshare", shared))[0] == 0
    assert (await api.get(f"{PATH}/{shared}")).status_code == 404
    assert (await api.get(PATH, params={"owner": owner})).json()["datasets"] == []


async def test_others_cannot_touch_it_or_its_documents(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, shared: str
) -> None:
    dataset_id = shared.rpartition("/")[2]
    (document, _) = (await other_api.get("/v1/documents", params={"datasetId": dataset_id})).json()[
        "documents"
    ]
    assert (await api.patch(f"{PATH}/{dataset_id}", json={"name": "mine"})).status_code == 404
    assert (await api.delete(f"{PATH}/{dataset_id}")).status_code == 404
    assert (await api.get(f"/v1/documents/{document['documentId']}")).status_code == 404
    assert (await api.get("/v1/documents", params={"datasetId": dataset_id})).json()["documents"] == []
    assert (await api.post("/v1/documents", json={"datasetId": dataset_id})).status_code == 400
    assert (await api.get(f"{PATH}/{dataset_id}/transformations")).status_code == 404
    assert (await api.post(f"{PATH}/{dataset_id}/transformations", json={})).status_code == 404


async def test_a_bundle_of_a_shared_dataset_belongs_to_the_caller(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    database_url: str,
    organization: Tenant,
    other_organization: Tenant,
    shared: str,
) -> None:
    dataset_id = shared.rpartition("/")[2]
    own = (await api.post(PATH, json={})).json()["datasetId"]
    await api.post("/v1/documents", json={"datasetId": own})
    model_id = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    path = f"/v1/models/{model_id}/dataBundles"
    made = (await api.post(path, json={"datasetIds": [shared, own]})).json()
    assert [one["datasetId"] for one in made["datasets"]] == [dataset_id, own]
    assert (made["datasets"][0]["metadata"], made["datasets"][0]["createdBy"]) == (None, None)
    for tenant, number in ((organization, 1), (other_organization, 0)):
        assert await used(pool, tenant.organization_id, "data-bundles") == number

    async def bundled() -> int:
        async with pool.acquire() as connection:
            work = await get_data_bundle_input(
                connection,
                organization_id=organization.organization_id,
                data_bundle_id=DataBundleId(made["dataBundleId"]),
            )
            assert work is not None
            documents = await list_documents_to_bundle(
                connection,
                organization_id=organization.organization_id,
                owner_ids=work.owner_ids,
                dataset_ids=[one["datasetId"] for one in work.datasets],
            )
        return len(documents)

    assert await bundled() == 3
    await pool.execute(
        "UPDATE organization SET document_retention_in_days = 0 WHERE id = $1",
        other_organization.organization_id,
    )
    assert await bundled() == 1
    await pool.execute(
        "UPDATE organization SET document_retention_in_days = 100 WHERE id = $1",
        other_organization.organization_id,
    )
    await invoke(database_url, "unshare", shared)
    assert await bundled() == 1


@pytest.mark.parametrize("shape", ["{dataset}", "las:organization:x/{dataset}", "{owner}/{private}"])
async def test_what_cannot_be_bundled(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, shared: str, shape: str
) -> None:
    owner, _, dataset = shared.rpartition("/")
    private = (await other_api.post(PATH, json={})).json()["datasetId"]
    model_id = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    reference = shape.format(owner=owner, dataset=dataset, private=private)
    response = await api.post(f"/v1/models/{model_id}/dataBundles", json={"datasetIds": [reference]})
    assert (response.status_code, response.json()) == (
        400,
        {"message": f"datasetIds: dataset {reference} does not exist"},
    )


async def test_sharing_is_in_the_owners_audit(
    other_api: httpx.AsyncClient, shared: str, database_url: str
) -> None:
    await invoke(database_url, "unshare", shared)
    query = {"resourceId": shared.rpartition("/")[2]}
    events = (await other_api.get("/v1/auditEvents", params=query)).json()["auditEvents"]
    done = [(event["action"], event["principalId"]) for event in events if event["principalId"] == "operator"]
    assert done == [("shareDataset", "operator"), ("unshareDataset", "operator")]


async def test_commands_say_what_is_wrong(database_url: str, pool: asyncpg.Pool) -> None:
    unknown = f"las:dataset:{'0' * 32}"
    for command in ("share", "unshare"):
        assert await invoke(database_url, command, unknown) == (1, f"pagemill: Dataset {unknown} not found\n")
