"""Tests of connections to Postgres: when requests hold them, and when none is free."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack

import asyncpg
import httpx
import pytest
from litestar import Litestar

from db import pool as pools
from pagemill.ids import ConsentId, new_id
from tests.support.seeds import seed_data_bundle, seed_document
from tests.support.tenants import Tenant


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models", 200),
        ("/v1/models?maxResults=0", 400),
        ("/v1/models?maxResults=0&nextToken=foo", 400),
        ("/v1/models/las:model:unknown", 404),
        ("/v1/models/{other}/las:model:unknown", 404),
        ("/v1/models/{other}/las:model:unknown/trainings?status=nonsense", 404),
        ("/v1/predictions?order=up", 400),
        ("/v1/predictions/las:prediction:unknown", 404),
        ("/v1/documents", 200),
        ("/v1/documents/las:document:unknown", 404),
        ("/v1/files/las:document:unknown", 404),
        ("/v1/unknown", 404),
    ],
)
async def test_connection_is_released_after_each_request(
    app: Litestar, api: httpx.AsyncClient, other_organization: Tenant, path: str, status: int
) -> None:
    pool = app.state.pagemill.pool
    for _ in range(2 * pool.get_max_size()):
        response = await api.get(path.format(other=other_organization.organization_id))
        assert response.status_code == status, response.text
    listening = 1
    assert pool.get_size() - pool.get_idle_size() <= listening


async def test_get_document_holds_no_connection_while_reading_content(
    app: Litestar, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More documents are read at once than there are connections, and others are still answered."""
    content = base64.b64encode(b"%PDF-1.7 content").decode()
    document_id = (await api.post("/v1/documents", json={"content": content})).json()["documentId"]
    state = app.state.pagemill
    reading, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def get(_store: object, _key: str) -> bytes:
        reading.release()
        await go_on.wait()
        return b"%PDF-1.7 content"

    monkeypatch.setattr(type(state.objects), "get", get)
    many = 2 * state.pool.get_max_size()
    asked = [asyncio.create_task(api.get(f"/v1/documents/{document_id}")) for _ in range(many)]
    async with asyncio.timeout(60):
        for _ in asked:
            await reading.acquire()
        assert (await api.get("/v1/models")).status_code == 200
    go_on.set()
    for response in await asyncio.gather(*asked):
        assert response.json()["content"] == content


async def deletion_of(api: httpx.AsyncClient, pool: asyncpg.Pool, owner: str, kind: str) -> str:
    """The path that deletes something new of which there are objects."""
    if kind in ("document", "documents"):
        document_id, consent_id = await seed_document(pool, owner), new_id(ConsentId)
        await pool.execute("UPDATE document SET consent_id = $2 WHERE id = $1", document_id, consent_id)
        return (
            f"/v1/documents/{document_id}" if kind == "document" else f"/v1/documents?consentId={consent_id}"
        )
    model = await api.post("/v1/models", json={"fieldConfig": {"total": {"type": "amount"}}})
    model_id = model.json()["modelId"]
    bundle_id = await seed_data_bundle(pool, owner, model_id)
    return f"/v1/models/{model_id}" + (f"/dataBundles/{bundle_id}" if kind == "data bundle" else "")


@pytest.mark.parametrize("kind", ["document", "documents", "model", "data bundle"])
async def test_deletion_holds_no_connection_while_objects_are_removed(
    app: Litestar,
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    state = app.state.pagemill
    many = 2 * state.pool.get_max_size()
    paths = [await deletion_of(api, pool, organization.organization_id, kind) for _ in range(many)]
    removing, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def delete(_store: object, _key: str) -> None:
        removing.release()
        await go_on.wait()

    for name in ("delete", "delete_prefix"):
        monkeypatch.setattr(type(state.objects), name, delete)
    asked = [asyncio.create_task(api.delete(path)) for path in paths]
    async with asyncio.timeout(60):
        for _ in asked:
            await removing.acquire()
        assert (await api.get("/v1/datasets")).status_code == 200
    go_on.set()
    for response in await asyncio.gather(*asked):
        assert response.status_code == 200


async def test_get_acquires_one_connection(
    app: Litestar, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = (await api.post("/v1/documents", json={})).json()["documentId"]
    taken: list[object] = []
    acquire = asyncpg.Pool.acquire
    monkeypatch.setattr(
        asyncpg.Pool, "acquire", lambda pool, **options: taken.append(pool) or acquire(pool, **options)
    )
    for path in ("/v1/models", f"/v1/documents/{document_id}", "/v1/documents"):
        assert (await api.get(path)).status_code == 200
    assert len(taken) == 3


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/predictions", {"documentId": "las:document:" + "0" * 32, "modelId": "las:model:one"}),
        ("POST", "/v1/documents", {}),
        ("POST", "/v1/models", {"fieldConfig": {}}),
        ("GET", "/v1/models", None),
        ("DELETE", "/v1/models/las:model:one", None),
    ],
)
async def test_exhausted_pool_answers_unavailable(
    app: Litestar,
    api: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: dict[str, object] | None,
) -> None:
    pool = app.state.pagemill.pool
    monkeypatch.setattr(pools, "ACQUIRE_SECONDS", 0.1)
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        for _ in range(pool.get_max_size() - (pool.get_size() - pool.get_idle_size())):
            await stack.enter_async_context(pool.acquire())
        response = await api.request(method, path, json=body)
    assert response.status_code == 503, response.text
    assert response.json() == {"message": "All connections to the database are in use; try again later"}
    assert response.headers["Retry-After"] == "5"


async def test_prediction_waits_for_its_own_connection_within_the_limit(
    app: Litestar, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections are in use after the caller has been let in."""
    state = app.state.pagemill
    monkeypatch.setattr(pools, "ACQUIRE_SECONDS", 0.1)
    async with AsyncExitStack() as stack, asyncio.timeout(60):

        async def exhaust(*_arguments: object) -> None:
            for _ in range(state.pool.get_max_size() - (state.pool.get_size() - state.pool.get_idle_size())):
                await stack.enter_async_context(state.pool.acquire())

        monkeypatch.setattr(type(state.admission), "admit", exhaust)
        body = {"documentId": "las:document:" + "0" * 32, "modelId": "las:model:one"}
        response = await api.post("/v1/predictions", json=body)
    assert response.status_code == 503, response.text
    assert "in use" in response.json()["message"]
