"""Tests of ``Idempotency-Key``: one effect and one answer, also after failures and concurrently."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.http import idempotency_claim
from pagemill.api.http.idempotency_claim import IdempotencyClaim
from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.everything import body_of, fill, rows_of, seed_everything
from tests.support.seeds import used
from tests.support.tenants import Tenant

CLAIM = "/v1/transitions/{transitionId}/executions/{executionId}/claim"
CLAIMED = ("/heartbeats", "/release", "/defer")
"""Paths for those only who have claimed the step."""


def keyed(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": key or uuid.uuid4().hex}


async def keys(pool: asyncpg.Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM idempotency_key"))


# Datasets share the request's transaction with their key; documents open their own.
@pytest.fixture(params=["datasets", "documents"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_repetition_gets_the_first_answer_byte_for_byte(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, kind: str
) -> None:
    headers = keyed("a key, with signs: 1/2")
    first = await api.post(f"/v1/{kind}", json={"name": "ä"}, headers=headers)
    second = await api.post(f"/v1/{kind}/", json={"name": "ä"}, headers=headers)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert len((await api.get(f"/v1/{kind}")).json()[kind]) == 1
    assert await used(pool, organization.organization_id, kind) == 1


async def test_other_key_or_none_is_another_request(api: httpx.AsyncClient, kind: str) -> None:
    for headers in ({}, {}, keyed(), keyed()):
        assert (await api.post(f"/v1/{kind}", json={}, headers=headers)).status_code == 200
    assert len((await api.get(f"/v1/{kind}")).json()[kind]) == 4


async def test_other_request_with_the_same_key_is_refused(api: httpx.AsyncClient, kind: str) -> None:
    headers = keyed()
    await api.post(f"/v1/{kind}", json={"name": "a"}, headers=headers)
    for path, body in (
        (f"/v1/{kind}", {"name": "b"}),
        (f"/v1/{kind}?a=1", {"name": "a"}),
        ("/v1/models", {"name": "a"}),
    ):
        refused = await api.post(path, json=body, headers=headers)
        assert refused.status_code == 400
        assert refused.json()["message"].startswith("Idempotency-Key:")
    assert len((await api.get(f"/v1/{kind}")).json()[kind]) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "ä", "a\tb"])
async def test_invalid_keys_are_refused(api: httpx.AsyncClient, key: str) -> None:
    refused = await api.post("/v1/datasets", json={}, headers={"Idempotency-Key": key.encode("latin-1")})
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("Idempotency-Key:")
    assert (await api.post("/v1/datasets", json={}, headers=keyed("x" * 255))).status_code == 200


async def test_keys_belong_to_a_principal(
    app: Litestar, settings: Settings, api: httpx.AsyncClient, other_api: httpx.AsyncClient, kind: str
) -> None:
    headers = keyed()
    mine = await api.post(f"/v1/{kind}", json={}, headers=headers)
    theirs = await other_api.post(f"/v1/{kind}", json={}, headers=headers)
    assert mine.json() != theirs.json()
    assert "idempotent-replayed" not in theirs.headers


async def test_other_methods_and_public_paths_ignore_keys(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    headers = keyed()
    dataset_id = (await api.post("/v1/datasets", json={})).json()["datasetId"]
    for name in ("a", "b"):
        changed = await api.patch(f"/v1/datasets/{dataset_id}", json={"name": name}, headers=headers)
        assert changed.json()["name"] == name
    assert (await api.post("/token", headers=headers)).status_code == 400
    assert await keys(pool) == 0


async def test_failed_request_can_be_repeated(
    api: httpx.AsyncClient, pool: asyncpg.Pool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = keyed()
    invalid = await api.post(f"/v1/{kind}", json={"name": 1}, headers=headers)
    assert invalid.status_code == 400
    assert await keys(pool) == 0
    with monkeypatch.context() as broken:
        broken.setattr(f"pagemill.api.resources.{kind}.to_{kind[:-1]}", lambda *_: 1 / 0)
        assert (await api.post(f"/v1/{kind}", json={"name": "a"}, headers=headers)).status_code == 500
    assert await keys(pool) == 0
    repeated = await api.post(f"/v1/{kind}", json={"name": "a"}, headers=headers)
    assert repeated.status_code == 200
    assert "idempotent-replayed" not in repeated.headers


async def test_failure_after_the_effect_undoes_it(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What shares its transaction with the key leaves nothing behind, whatever breaks before the answer."""
    with monkeypatch.context() as broken:
        broken.setattr("pagemill.api.resources.datasets.to_dataset", lambda *_: 1 / 0)
        assert (await api.post("/v1/datasets", json={}, headers=keyed())).status_code == 500
    assert (await api.get("/v1/datasets")).json()["datasets"] == []
    assert await used(pool, organization.organization_id, "datasets") == 0


async def test_failed_commit_is_not_acknowledged(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = keyed()

    async def away(*_: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as broken:
        broken.setattr(IdempotencyClaim, "complete", away)
        answer = await api.post("/v1/datasets", json={}, headers=headers | {"Origin": "https://example.com"})
    assert answer.status_code == 503
    assert answer.json() == {"message": "The database is not available"}
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (await api.get("/v1/datasets")).json()["datasets"] == []
    assert (await api.post("/v1/datasets", json={}, headers=headers)).status_code == 200


async def test_repetition_is_counted_once(limited_api: httpx.AsyncClient) -> None:
    headers = keyed()
    first = await limited_api.post("/v1/datasets", json={}, headers=headers)
    again = await limited_api.post("/v1/datasets", json={}, headers=headers)
    assert (first.status_code, again.content) == (200, first.content)
    refused = await limited_api.post("/v1/datasets", json={}, headers=keyed())
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")


async def test_one_of_many_concurrent_requests_does_the_work(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, kind: str, settings: Settings
) -> None:
    headers = keyed()
    answers = await asyncio.gather(
        *(api.post(f"/v1/{kind}", json={}, headers=headers) for _ in range(settings.database_pool_size * 3))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert await used(pool, organization.organization_id, kind) == 1


async def test_many_concurrent_keys_share_few_connections(
    api: httpx.AsyncClient, settings: Settings, kind: str
) -> None:
    answers = await asyncio.gather(
        *(api.post(f"/v1/{kind}", json={}, headers=keyed()) for _ in range(settings.database_pool_size * 3))
    )
    assert {answer.status_code for answer in answers} == {200}


async def test_repetition_waits_within_the_limit(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process works on the key: it holds the row, or has committed it without an answer."""
    monkeypatch.setattr(idempotency_claim, "WAIT_SECONDS", 0.2)
    fingerprint = await fingerprint_of(api, pool, f"/v1/{kind}")
    row = (organization.organization_id, organization.app_client_id, "held", fingerprint)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "INSERT INTO idempotency_key (organization_id, principal_id, key, fingerprint) "
            "VALUES ($1, $2, $3, $4)",
            *row,
        )
        if kind == "documents":
            await transaction.commit()
        waited = await api.post(f"/v1/{kind}", json={}, headers=keyed("held"))
        assert waited.status_code == 503
        assert int(waited.headers["retry-after"]) > 0
        if kind == "datasets":
            await transaction.rollback()
        else:
            await connection.execute(
                "UPDATE idempotency_key SET created_time = now() - interval '10 minutes' WHERE key = 'held'"
            )
    done = await api.post(f"/v1/{kind}", json={}, headers=keyed("held"))
    assert done.status_code == 200
    assert "idempotent-replayed" not in done.headers


async def fingerprint_of(api: httpx.AsyncClient, pool: asyncpg.Pool, path: str) -> str:
    """That of a POST of ``{}``."""
    await api.post(path, json={}, headers=keyed("fingerprint"))
    return str(await pool.fetchval("SELECT fingerprint FROM idempotency_key WHERE key = 'fingerprint'"))


async def test_expired_keys_are_deleted(api: httpx.AsyncClient, pool: asyncpg.Pool, kind: str) -> None:
    first = await api.post(f"/v1/{kind}", json={}, headers=keyed("old"))
    for _ in range(3):
        await api.post(f"/v1/{kind}", json={}, headers=keyed())
    await pool.execute("UPDATE idempotency_key SET created_time = now() - interval '25 hours'")
    again = await api.post(f"/v1/{kind}", json={"name": "another"}, headers=keyed("old"))
    assert again.status_code == 200
    assert again.content != first.content
    assert await keys(pool) == 1


async def test_answers_are_encrypted(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    """Some hold secrets: who reads the table learns neither them nor what was sent."""
    await api.post("/v1/datasets", json={"name": "plain words"}, headers=keyed("one"))
    await api.post("/v1/datasets", json={"name": "plain words"}, headers=keyed("two"))
    bodies = [row["body"] for row in await pool.fetch("SELECT body FROM idempotency_key")]
    assert not any(b"plain words" in body or b"datasetId" in body for body in bodies)
    # A body that is moved to another key's row opens nothing.
    await pool.execute(
        "UPDATE idempotency_key SET body = (SELECT body FROM idempotency_key WHERE key = 'one') "
        "WHERE key = 'two'"
    )
    moved = await api.post("/v1/datasets", json={"name": "plain words"}, headers=keyed("two"))
    assert (moved.status_code, moved.json()) == (
        400,
        {"message": "Idempotency-Key: its answer cannot be given again"},
    )


async def test_other_token_key_cannot_decrypt_answers(
    app: Litestar, settings: Settings, api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    import msgspec

    from pagemill.api.app import create_app

    headers = keyed()
    await api.post("/v1/datasets", json={}, headers=headers)
    exchanged = msgspec.structs.replace(settings, token_key="z" * 32)
    app = create_app(exchanged)
    async with app.lifespan(), client_of(app, exchanged, organization) as client:
        refused = await client.post("/v1/datasets", json={}, headers=headers)
        assert refused.status_code == 400
    assert await pool.fetchval("SELECT count(*) FROM dataset") == 1


async def test_refused_repetition_releases_its_connection(api: httpx.AsyncClient, settings: Settings) -> None:
    headers = keyed()
    await api.post("/v1/datasets", json={}, headers=headers)
    async with asyncio.timeout(60):
        for _ in range(settings.database_pool_size * 3):
            for body, status in (({}, 200), ({"name": "other"}, 400), ({"name": 1}, 400)):
                assert (await api.post("/v1/datasets", json=body, headers=headers)).status_code == status


async def test_every_post_has_its_effect_once(
    app: Litestar, api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    """But for predictions, which wait for workers here, and for what only persons may do."""
    ids = await seed_everything(pool, organization)
    repeated = 0
    for path, item in app.openapi_schema.to_schema()["paths"].items():
        plain = path.removeprefix("/v1")
        if "post" not in item or path.endswith("token") or plain in ("/predictions", "/organizations"):
            continue
        if plain.endswith(CLAIMED):
            await api.post(fill(CLAIM, ids), json={})
        body = body_of("POST", plain, ids)
        headers = keyed()
        before = await rows_of(pool, organization.organization_id)
        first = await api.post(fill(path, ids), json=body, headers=headers)
        assert first.status_code in (200, 204), (path, first.text)
        after = await rows_of(pool, organization.organization_id)
        assert before != after, path
        again = await api.post(fill(path, ids), json=body, headers=headers)
        assert (again.status_code, again.content) == (first.status_code, first.content), path
        assert again.headers["idempotent-replayed"] == "true"
        assert await rows_of(pool, organization.organization_id) == after, path
        repeated += 1
    assert repeated > 12
