"""Secrets through HTTP; their data is never shown."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.secret_box import Sealed, open_secret_box
from pagemill.settings import Settings
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant
from tests.support.workflow_seeds import seed_transition, seed_workflow

DATA = {"LAS_CLIENT_SECRET": "hunter2-hunter2", "nested": {"list": [1, None, "é"]}}


async def create(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post("/v1/secrets", json={"data": DATA, **body})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def opened(pool: asyncpg.Pool, settings: Settings, secret_id: str) -> dict[str, Any]:
    """Return the decrypted data of a stored secret."""
    row = await pool.fetchrow("SELECT * FROM secret WHERE id = $1", secret_id)
    sealed = Sealed(row["key_id"], row["nonce"], row["ciphertext"])
    return open_secret_box(settings).open(row["organization_id"], secret_id, sealed)


async def test_created_secret(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool, settings: Settings
) -> None:
    secret = await create(api, name="Credentials", description=None)
    assert secret == {
        "secretId": secret["secretId"],
        "name": "Credentials",
        "description": None,
        "createdTime": secret["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert (await api.get("/v1/secrets")).json() == {"secrets": [secret], "nextToken": None}
    assert await opened(pool, settings, secret["secretId"]) == DATA


async def test_the_data_is_stored_encrypted_only(
    api: httpx.AsyncClient, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        secret_id = (await create(api))["secretId"]
        await api.patch(f"/v1/secrets/{secret_id}", json={"data": DATA})
        await api.post("/v1/secrets", json={"data": DATA, "wrong": 1})
    assert (await api.get(f"/v1/secrets/{secret_id}")).status_code == 405
    row = await pool.fetchrow("SELECT * FROM secret WHERE id = $1", secret_id)
    assert b"hunter2" not in row["ciphertext"]
    assert "hunter2" not in caplog.text + str(dict(row))


async def test_change(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool, settings: Settings
) -> None:
    secret = await create(api, name="Credentials", description="of the registry")
    path = f"/v1/secrets/{secret['secretId']}"
    renamed = (await api.patch(path, json={"name": None})).json()
    assert renamed == {
        **secret,
        "name": None,
        "updatedTime": renamed["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    assert renamed["updatedTime"] is not None
    assert await opened(pool, settings, secret["secretId"]) == DATA
    replaced = (await api.patch(path, json={"data": {"username": "me"}})).json()
    assert (replaced["description"], "data" in replaced) == ("of the registry", False)
    assert await opened(pool, settings, secret["secretId"]) == {"username": "me"}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"data": None}, "data"),
        ({"data": "x"}, "data"),
        ({"data": [1]}, "data"),
        ({"data": {"a": "x" * 65_536}}, "data"),
        ({"data": {}, "name": "x" * 4097}, "name"),
        ({"data": {}, "description": 1}, "description"),
        ({"data": {}, "secretId": "x"}, "secretId"),
    ],
)
async def test_bad_members_are_named(api: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    secret = await create(api)
    for response in (
        await api.post("/v1/secrets", json=body),
        await api.patch(f"/v1/secrets/{secret['secretId']}", json=body),
    ):
        assert response.status_code == 400
        assert named in response.json()["message"]
    assert (await api.get("/v1/secrets")).json()["secrets"] == [secret]


async def test_data_is_required_and_a_change_needs_a_member(api: httpx.AsyncClient) -> None:
    refused = await api.post("/v1/secrets", json={"name": "Credentials"})
    assert (refused.status_code, "data" in refused.json()["message"]) == (400, True)
    path = f"/v1/secrets/{(await create(api))['secretId']}"
    assert (await api.patch(path, json={})).status_code == 400


async def test_deleted_secret_is_gone(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    secret = await create(api)
    path = f"/v1/secrets/{secret['secretId']}"
    assert (await api.delete(path)).json() == secret
    for response in (await api.delete(path), await api.patch(path, json={"data": {}})):
        assert response.status_code == 404
        assert response.json() == {"message": f"Secret {secret['secretId']} not found"}
    assert await used(pool, organization.organization_id, "secrets") == 0


@pytest.mark.parametrize("place", ["secretId", "environmentSecrets", "completed", "environment", "email"])
async def test_a_secret_in_use_stays(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    other_organization: Tenant,
    place: str,
) -> None:
    secret_id, owner = (await create(api))["secretId"], organization.organization_id
    await seed_transition(pool, owner, {"environment": {"NAME": secret_id}, "environmentSecrets": []})
    await seed_transition(pool, other_organization.organization_id, {"secretId": secret_id})
    await seed_workflow(pool, owner)
    match place:
        case "secretId":
            user = await seed_transition(pool, owner, {"secretId": secret_id})
        case "environmentSecrets":
            user = await seed_transition(pool, owner, {"environmentSecrets": ["x", secret_id]})
        case "completed":
            user = await seed_workflow(pool, owner, completed={"secretId": secret_id})
        case "environment":
            user = await seed_workflow(pool, owner, completed={"environmentSecrets": [secret_id]})
        case _:
            user = await seed_workflow(pool, owner, email={"secretId": secret_id})
    refused = await api.delete(f"/v1/secrets/{secret_id}")
    assert refused.status_code == 400
    assert refused.json() == {"message": f"Secret {secret_id} is used by {user}"}
    await pool.execute(
        f"DELETE FROM {'transition' if 'transition' in user else 'workflow'} WHERE id = $1", user
    )
    assert (await api.delete(f"/v1/secrets/{secret_id}")).status_code == 200


async def test_limit(limited_api: httpx.AsyncClient) -> None:
    secret_id = (await create(limited_api))["secretId"]
    refused = await limited_api.post("/v1/secrets", json={"data": {}})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    own = (await limited_api.get("/v1/organizations/me")).json()
    assert (own["numberOfSecretsCreated"], own["numberOfSecretsAllowed"]) == (1, 1)
    await limited_api.delete(f"/v1/secrets/{secret_id}")
    await create(limited_api)


async def test_concurrent_deletes_count_once(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    await create(api)
    path = f"/v1/secrets/{(await create(api))['secretId']}"
    answers = await asyncio.gather(*(api.delete(path) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert await used(pool, organization.organization_id, "secrets") == 1


async def test_paging(api: httpx.AsyncClient) -> None:
    ids = [(await create(api))["secretId"] for _ in range(5)]
    first = (await api.get("/v1/secrets", params={"maxResults": "2"})).json()
    assert [secret["secretId"] for secret in first["secrets"]] == ids[:2]
    await api.delete(f"/v1/secrets/{ids[1]}")
    rest = (await api.get("/v1/secrets", params={"nextToken": first["nextToken"]})).json()
    assert [secret["secretId"] for secret in rest["secrets"]] == ids[2:]
    assert rest["nextToken"] is None
    assert (await api.get("/v1/secrets", params={"nextToken": "foo"})).status_code == 400


async def test_a_list_runs_one_statement(api: httpx.AsyncClient) -> None:
    for _ in range(3):
        await create(api)
    with statements_run() as names:
        await api.get("/v1/secrets")
    assert names == ["principals.find_principal", "secrets.list_secrets"]
