"""Tests of the organizations of persons."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.seeded_roles import ADMIN, MEMBER, VALIDATOR
from pagemill.settings import Settings
from pagemill.stack.bootstrap import PLAN_ID, PLAN_SLUG
from tests.integration.api.conftest import client_of
from tests.integration.api.resources.test_organizations import KEYS, add_plan
from tests.support.people import Person, add_app_client, add_user
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant
from tests.support.tokens import token_of

PATH = "/v1/organizations"
ME = f"{PATH}/me"


@pytest.fixture
async def default_plan(pool: asyncpg.Pool) -> str:
    """The plan of new organizations, which allows five documents a month."""
    return await add_plan(pool, PLAN_SLUG.rsplit(":", 1)[-1], 1)


async def allow(pool: asyncpg.Pool, user_id: str, organizations: int) -> None:
    await pool.execute(
        """
        UPDATE profile SET number_of_organizations_allowed = $2
        WHERE id = (SELECT profile_id FROM organization_user WHERE id = $1)
        """,
        user_id,
        organizations,
    )


async def created_and_allowed(api: httpx.AsyncClient) -> tuple[int, int]:
    profile = (await api.get("/v1/profiles/me")).json()
    return profile["numberOfOrganizationsCreated"], profile["numberOfOrganizationsAllowed"]


async def founder_of(pool: asyncpg.Pool, organization_id: str) -> asyncpg.Record:
    rows = await pool.fetch("SELECT * FROM organization_user WHERE organization_id = $1", organization_id)
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("user", marks=pytest.mark.caller("user"), id="without roles"),
        pytest.param("user", marks=pytest.mark.caller("user", ADMIN), id="admin"),
    ],
)
async def test_user_creates_an_organization_and_is_its_admin(
    app: Litestar,
    settings: Settings,
    api: httpx.AsyncClient,
    principal_id: str,
    pool: asyncpg.Pool,
    default_plan: str,
    kind: str,
) -> None:
    new = (await api.post(PATH, json={"name": "Second"})).json()
    assert set(new) == KEYS
    assert (new["name"], new["planId"], new["documentRetentionInDays"]) == ("Second", PLAN_ID, 1825)
    assert (new["numberOfUsersCreated"], new["numberOfAppClientsCreated"]) == (1, 0)
    assert new["monthlyNumberOfDocumentsAllowed"] == 5
    assert await created_and_allowed(api) == (1, 1)
    founder = await founder_of(pool, new["organizationId"])
    assert (founder["status"], founder["role_ids"], founder["created_by"]) == (
        "active",
        [ADMIN],
        principal_id,
    )
    token = await token_of(app, new["organizationId"], founder["id"])
    headers = {"Authorization": f"Bearer {token}"}
    async with client_of(app, settings, None) as client:
        assert (await client.get(ME, headers=headers)).json() == new
        created = await client.post("/v1/appClients", json={"roleIds": [MEMBER]}, headers=headers)
        assert created.status_code == 200
        assert (await client.get("/v1/profiles/me", headers=headers)).status_code == 200


@pytest.mark.caller("user")
async def test_name_is_optional(api: httpx.AsyncClient, default_plan: str) -> None:
    assert (await api.post(PATH, json={})).json()["name"] is None


@pytest.mark.caller("user")
async def test_profile_limits_number_of_organizations(
    api: httpx.AsyncClient, principal_id: str, pool: asyncpg.Pool, default_plan: str
) -> None:
    await allow(pool, principal_id, 2)
    answers = await asyncio.gather(*[api.post(PATH, json={}) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["message"] == "Limit Exceeded"
    assert await created_and_allowed(api) == (2, 2)
    assert len((await api.get(PATH)).json()["organizations"]) == 3


@pytest.mark.caller("user")
async def test_missing_default_plan_is_an_error(api: httpx.AsyncClient) -> None:
    assert (await api.post(PATH, json={})).status_code == 500
    assert await created_and_allowed(api) == (0, 1)
    assert len((await api.get(PATH)).json()["organizations"]) == 1


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("app-client", marks=pytest.mark.caller("app-client")),
        pytest.param("member", marks=pytest.mark.caller("user", MEMBER)),
        pytest.param("validator", marks=pytest.mark.caller("user", VALIDATOR)),
    ],
)
async def test_other_callers_cannot_create_organizations(
    api: httpx.AsyncClient, default_plan: str, kind: str
) -> None:
    response = await api.post(PATH, json={"name": "Second"})
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


@pytest.mark.caller("user")
@pytest.mark.parametrize("body", [{"name": 1}, {"name": "x" * 4097}, {"planId": PLAN_ID}, {"x": 1}])
async def test_bad_bodies(api: httpx.AsyncClient, default_plan: str, body: dict[str, Any]) -> None:
    response = await api.post(PATH, json=body)
    assert response.status_code == 400
    assert all(name in response.json()["message"] for name in body)
    assert await created_and_allowed(api) == (0, 1)


@pytest.fixture
async def person(pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant) -> Person:
    """The user of ``organization`` of somebody who is a user of ``other_organization`` too."""
    async with pool.acquire() as connection:
        here = await add_user(connection, organization.organization_id)
        await add_user(connection, other_organization.organization_id, profile_of=here)
        return here


async def test_user_sees_all_organizations_of_the_person(
    app: Litestar,
    settings: Settings,
    organization: Tenant,
    other_organization: Tenant,
    other_api: httpx.AsyncClient,
    limited_organization: Tenant,
    person: Person,
) -> None:
    await other_api.post("/v1/documents", json={})
    ids = [organization.organization_id, other_organization.organization_id]
    async with client_of(app, settings, organization, person.user_id) as client:
        listed = (await client.get(PATH)).json()
        assert [one["organizationId"] for one in listed["organizations"]] == ids
        assert listed["nextToken"] is None
        assert [one["monthlyNumberOfDocumentsCreated"] for one in listed["organizations"]] == [0, 1]
        for one in listed["organizations"]:
            assert (await client.get(f"{PATH}/{one['organizationId']}")).json() == one
        assert (await client.get(ME)).json() == listed["organizations"][0]
        first = (await client.get(PATH, params={"maxResults": "1"})).json()
        second = (await client.get(PATH, params={"nextToken": first["nextToken"]})).json()
        assert first["organizations"] + second["organizations"] == listed["organizations"]
        assert (await client.get(f"{PATH}/{limited_organization.organization_id}")).status_code == 404


async def test_only_the_caller_s_organization_is_changed(
    app: Litestar, settings: Settings, organization: Tenant, other_organization: Tenant, person: Person
) -> None:
    async with client_of(app, settings, organization, person.user_id) as client:
        assert (await client.patch(ME, json={"name": "Ours"})).json()["updatedBy"] == person.user_id
        path = f"{PATH}/{other_organization.organization_id}"
        response = await client.patch(path, json={"name": "Ours too"})
        assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})
        assert (await client.get(path)).json()["name"] == "Test organization"


async def test_inactive_membership_is_hidden(
    app: Litestar,
    settings: Settings,
    organization: Tenant,
    other_organization: Tenant,
    pool: asyncpg.Pool,
    person: Person,
) -> None:
    await pool.execute(
        "UPDATE organization_user SET status = 'inactive' WHERE organization_id = $1",
        other_organization.organization_id,
    )
    async with client_of(app, settings, organization, person.user_id) as client:
        assert len((await client.get(PATH)).json()["organizations"]) == 1
        assert (await client.get(f"{PATH}/{other_organization.organization_id}")).status_code == 404


async def test_list_runs_the_same_statements_for_any_number(
    app: Litestar, settings: Settings, organization: Tenant, api: httpx.AsyncClient, person: Person
) -> None:
    with statements_run() as for_one:
        await api.get(PATH)
    async with client_of(app, settings, organization, person.user_id) as client:
        with statements_run() as for_two:
            await client.get(PATH)
    assert for_two == for_one
    assert len(for_one) == 4


async def test_oldest_public_app_client_is_the_default(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    assert (await api.get(ME)).json()["clientId"] is None
    async with pool.acquire() as connection:
        oldest = await add_app_client(connection, organization.organization_id)
        await add_app_client(connection, organization.organization_id)
    client_id = (await api.get(f"/v1/appClients/{oldest}")).json()["clientId"]
    assert (await api.get(ME)).json()["clientId"] == client_id
    assert await used(pool, organization.organization_id, "app-clients") == 3
