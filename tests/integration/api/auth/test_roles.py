"""Tests of roles: their resource, their effect, and who may assign them."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.seeded_roles import ADMIN, MEMBER, ROLES, VALIDATOR
from pagemill.settings import Settings
from pagemill.stack.bootstrap import seed_roles
from tests.integration.api.conftest import client_of
from tests.support.people import add_app_client, add_role, add_user
from tests.support.queries import statements_run
from tests.support.tenants import Tenant

FORBIDDEN = (403, {"message": "Forbidden"})


def as_any(*role_ids: str) -> list[Any]:
    """The same test as an app client and as a user with these roles."""
    return [
        pytest.param(kind, marks=pytest.mark.caller(kind, *role_ids), id=kind)
        for kind in ("app-client", "user")
    ]


@pytest.mark.parametrize("kind", as_any())
async def test_list_and_get(api: httpx.AsyncClient, kind: str) -> None:
    listed = (await api.get("/v1/roles")).json()
    assert listed["nextToken"] is None
    assert {role["roleId"] for role in listed["roles"]} == set(ROLES)
    for role in listed["roles"]:
        assert role == {
            "roleId": role["roleId"],
            "name": ROLES[role["roleId"]].name,
            "description": ROLES[role["roleId"]].description,
            "permissions": ROLES[role["roleId"]].permissions,
            "createdTime": role["createdTime"],
            "createdBy": None,
            "updatedTime": None,
            "updatedBy": None,
        }
        assert (await api.get(f"/v1/roles/{role['roleId']}")).json() == role


async def test_unknown_role(api: httpx.AsyncClient) -> None:
    response = await api.get("/v1/roles/las:role:unknown")
    assert (response.status_code, response.json()) == (404, {"message": "Role las:role:unknown not found"})


async def test_roles_can_only_be_read(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v1/roles", json={})).status_code == 405
    for method in ("PATCH", "DELETE"):
        assert (await api.request(method, f"/v1/roles/{ADMIN}", json={})).status_code == 405


@pytest.mark.caller("user")
async def test_pages(api: httpx.AsyncClient) -> None:
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        page = (await api.get("/v1/roles", params={"maxResults": "1", "nextToken": token})).json()
        seen += [role["roleId"] for role in page["roles"]]
        token = page["nextToken"]
    assert seen == sorted(ROLES)
    with statements_run() as names:
        await api.get("/v1/roles")
    assert names == ["principals.find_principal", "roles.list_roles"]


@pytest.mark.parametrize("kind", as_any(ADMIN))
async def test_admins_may_do_everything(api: httpx.AsyncClient, kind: str) -> None:
    created = await api.post("/v1/appClients", json={"roleIds": [VALIDATOR]})
    assert created.json()["roleIds"] == [VALIDATOR]
    assert (await api.patch("/v1/organizations/me", json={"name": "Acme"})).status_code == 200
    assert (await api.post("/v1/datasets", json={})).status_code == 200


@pytest.mark.parametrize("kind", as_any(MEMBER))
async def test_members_build_but_cannot_administer(api: httpx.AsyncClient, kind: str) -> None:
    dataset = (await api.post("/v1/datasets", json={})).json()
    assert (await api.delete(f"/v1/datasets/{dataset['datasetId']}")).status_code == 200
    assert (await api.get("/v1/appClients")).status_code == 200
    assert (await api.get("/v1/organizations/me")).status_code == 200
    for method, path, body in (
        ("POST", "/v1/appClients", {}),
        ("PATCH", "/v1/organizations/me", {"name": "mine"}),
        ("DELETE", "/v1/appClients/las:app-client:unknown", None),
    ):
        response = await api.request(method, path, json=body)
        assert (response.status_code, response.json()) == FORBIDDEN, path


@pytest.mark.parametrize("kind", as_any(VALIDATOR))
async def test_validators_read_and_change_nothing(api: httpx.AsyncClient, kind: str) -> None:
    for path in ("/v1/documents", "/v1/datasets", "/v1/models", "/v1/predictions", "/v1/organizations/me"):
        assert (await api.get(path)).status_code == 200, path
    for method, path in (
        ("GET", "/v1/appClients"),
        ("POST", "/v1/datasets"),
        ("POST", "/v1/documents"),
        ("DELETE", "/v1/documents"),
        ("PUT", "/v1/files/las:document:unknown"),
    ):
        response = await api.request(method, path, json={})
        assert (response.status_code, response.json()) == FORBIDDEN, path


@pytest.mark.caller("user", MEMBER, ADMIN)
async def test_permissions_of_two_roles_add_up(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v1/appClients", json={"roleIds": [ADMIN]})).status_code == 200


@pytest.mark.caller("app-client", "las:role:gone")
async def test_deleted_role_allows_nothing(api: httpx.AsyncClient) -> None:
    response = await api.get("/v1/documents")
    assert (response.status_code, response.json()) == FORBIDDEN


@pytest.mark.parametrize("status", ["inactive", "invite_pending"])
async def test_inactive_users_are_refused(
    app: Litestar, settings: Settings, organization: Tenant, pool: asyncpg.Pool, status: str
) -> None:
    async with pool.acquire() as connection:
        user = await add_user(connection, organization.organization_id, status=status)
    async with client_of(app, settings, organization, user.user_id) as client:
        response = await client.get("/v1/documents")
    assert (response.status_code, response.json()) == FORBIDDEN


async def test_user_of_another_organization_is_refused(
    app: Litestar,
    settings: Settings,
    organization: Tenant,
    other_organization: Tenant,
    pool: asyncpg.Pool,
) -> None:
    async with pool.acquire() as connection:
        user = await add_user(connection, other_organization.organization_id)
    async with client_of(app, settings, organization, user.user_id) as client:
        assert (await client.get("/v1/documents")).status_code == 403


async def limited_client(pool: asyncpg.Pool, organization: Tenant, *permissions: tuple[str, str, str]) -> str:
    """An app client with one role of its own."""
    async with pool.acquire() as connection:
        await seed_roles(connection)
        role_id = await add_role(connection, "own", *permissions)
        return await add_app_client(connection, organization.organization_id, role_ids=[role_id])


async def test_permissions_on_single_resources(
    app: Litestar, settings: Settings, api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    mine, closed, unseen = [(await api.post("/v1/datasets", json={})).json()["datasetId"] for _ in range(3)]
    principal_id = await limited_client(
        pool,
        organization,
        (mine, "*", "allow"),
        (closed, "*", "allow"),
        (closed, "write", "deny"),
    )
    async with client_of(app, settings, organization, principal_id) as client:
        assert (await client.get(f"/v1/datasets/{mine}")).status_code == 200
        assert (await client.patch(f"/v1/datasets/{mine}", json={"name": "x"})).status_code == 200
        assert (await client.get(f"/v1/datasets/{closed}")).status_code == 200
        assert (await client.delete(f"/v1/datasets/{closed}")).status_code == 403
        assert (await client.get(f"/v1/datasets/{unseen}")).status_code == 403
        assert (await client.get("/v1/datasets")).status_code == 403
        assert (await client.post("/v1/datasets", json={})).status_code == 403


async def test_refusal_is_the_same_for_foreign_and_unknown_ids(
    app: Litestar,
    settings: Settings,
    other_api: httpx.AsyncClient,
    organization: Tenant,
    pool: asyncpg.Pool,
) -> None:
    foreign = (await other_api.post("/v1/datasets", json={})).json()["datasetId"]
    unknown = f"las:dataset:{'0' * 32}"
    reader = await limited_client(pool, organization, ("las:dataset:*", "read", "allow"))
    async with client_of(app, settings, organization, reader) as client:
        for method in ("GET", "DELETE"):
            answers = [await client.request(method, f"/v1/datasets/{one}") for one in (foreign, unknown)]
            assert answers[0].content.replace(foreign.encode(), unknown.encode()) == answers[1].content
            assert {answer.status_code for answer in answers} == {404 if method == "GET" else 403}


async def test_changed_role_takes_effect_at_once(
    app: Litestar, settings: Settings, organization: Tenant, pool: asyncpg.Pool
) -> None:
    principal_id = await limited_client(pool, organization, ("*", "read", "allow"))
    async with client_of(app, settings, organization, principal_id) as client:
        assert (await client.get("/v1/documents")).status_code == 200
        await pool.execute("UPDATE role SET permissions = '[]' WHERE id = 'las:role:own'")
        assert (await client.get("/v1/documents")).status_code == 403


async def test_only_callers_with_delegate_assign_roles(
    app: Litestar, settings: Settings, organization: Tenant, pool: asyncpg.Pool
) -> None:
    principal_id = await limited_client(
        pool, organization, ("las:app-client:*", "*", "allow"), (VALIDATOR, "delegate", "allow")
    )
    async with client_of(app, settings, organization, principal_id) as client:
        made = await client.post("/v1/appClients", json={"roleIds": [VALIDATOR, VALIDATOR]})
        assert made.json()["roleIds"] == [VALIDATOR]
        path = f"/v1/appClients/{made.json()['appClientId']}"
        assert (await client.patch(path, json={"name": "x"})).status_code == 200
        for role_ids in ([ADMIN], [VALIDATOR, MEMBER], []):
            for response in (
                await client.post("/v1/appClients", json={"roleIds": role_ids}),
                await client.patch(path, json={"roleIds": role_ids}),
            ):
                assert (response.status_code, response.json()) == FORBIDDEN, role_ids
        assert (await client.post("/v1/appClients", json={})).status_code == 403
        unknown = await client.patch(path, json={"roleIds": ["las:role:unknown"]})
        assert (unknown.status_code, "las:role:unknown" in unknown.json()["message"]) == (400, True)
        assert (await client.get(path)).json()["roleIds"] == [VALIDATOR]
        assert len((await client.get("/v1/appClients")).json()["appClients"]) == 3
