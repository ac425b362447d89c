"""Profiles through HTTP."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.seeded_roles import VALIDATOR
from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.people import add_user
from tests.support.tenants import Tenant

ME = "/v1/profiles/me"
UNKNOWN = f"las:profile:{'0' * 32}"


@pytest.mark.caller("user")
async def test_own_profile(api: httpx.AsyncClient) -> None:
    own = (await api.get(ME)).json()
    assert own == {
        "profileId": own["profileId"],
        "givenName": "Ada",
        "familyName": "Lovelace",
        "picture": None,
        "name": None,
        "email": own["email"],
        "locale": None,
        "metadata": None,
        "numberOfOrganizationsAllowed": 1,
        "numberOfOrganizationsCreated": 0,
        "createdTime": own["createdTime"],
        "updatedTime": None,
    }
    assert own["email"].endswith("@example.com")
    assert (await api.get(f"/v1/profiles/{own['profileId']}")).json() == own


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("app-client", marks=pytest.mark.caller("app-client")),
        pytest.param("user", marks=pytest.mark.caller("user", VALIDATOR)),
    ],
)
async def test_other_users_see_the_public_profile(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool, kind: str
) -> None:
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id)
    assert (await api.get(f"/v1/profiles/{person.profile_id}")).json() == {
        "profileId": person.profile_id,
        "givenName": "Ada",
        "familyName": "Lovelace",
        "picture": None,
    }


async def test_app_clients_have_no_profile(api: httpx.AsyncClient) -> None:
    for response in (await api.get(ME), await api.patch(ME, json={"givenName": "x"})):
        assert (response.status_code, response.json()) == (404, {"message": "Profile me not found"})


@pytest.mark.parametrize("kind", [None, pytest.param("user", marks=pytest.mark.caller("user"))])
async def test_foreign_profiles_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_organization: Tenant, pool: asyncpg.Pool, kind: str | None
) -> None:
    async with pool.acquire() as connection:
        foreign = (await add_user(connection, other_organization.organization_id)).profile_id
    for method, status, body in (("GET", 404, None), ("PATCH", 403, {"givenName": "mine"})):
        answers = [await api.request(method, f"/v1/profiles/{one}", json=body) for one in (foreign, UNKNOWN)]
        assert [answer.status_code for answer in answers] == [status, status]
        assert answers[0].text.replace(foreign, UNKNOWN) == answers[1].text


@pytest.mark.caller("user", VALIDATOR)
async def test_users_change_their_own_profile(api: httpx.AsyncClient) -> None:
    own = (await api.get(ME)).json()
    body = {
        "givenName": "Augusta",
        "familyName": None,
        "locale": "en-GB",
        "picture": "https://example.com/ada.png",
        "metadata": {"a": [1]},
    }
    changed = (await api.patch(ME, json=body)).json()
    assert changed == {**own, **body, "updatedTime": changed["updatedTime"]}
    assert changed["updatedTime"] is not None
    by_id = await api.patch(f"/v1/profiles/{own['profileId']}", json={"metadata": None})
    assert by_id.json() == {**changed, "metadata": None, "updatedTime": by_id.json()["updatedTime"]}


@pytest.mark.caller("user")
async def test_the_profile_of_another_person_cannot_be_changed(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id)
    response = await api.patch(f"/v1/profiles/{person.profile_id}", json={"givenName": "x"})
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})
    assert (await api.get(f"/v1/profiles/{person.profile_id}")).json()["givenName"] == "Ada"


@pytest.mark.caller("user")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "x@example.com"},
        {"numberOfOrganizationsAllowed": 5},
        {"name": "x"},
        {"givenName": 1},
        {"givenName": "x" * 4097},
        {"metadata": []},
        {"metadata": {"a": "x" * 4096}},
    ],
)
async def test_bad_updates(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    before = (await api.get(ME)).json()
    response = await api.patch(ME, json=body)
    assert response.status_code == 400
    assert all(name in response.json()["message"] for name in body)
    assert (await api.get(ME)).json() == before


async def test_one_person_in_two_organizations_has_one_profile(
    app: Litestar,
    settings: Settings,
    organization: Tenant,
    other_organization: Tenant,
    pool: asyncpg.Pool,
) -> None:
    async with pool.acquire() as connection:
        here = await add_user(connection, organization.organization_id)
        there = await add_user(connection, other_organization.organization_id, profile_of=here)
    async with client_of(app, settings, organization, here.user_id) as client:
        changed = (await client.patch(ME, json={"locale": "nb"})).json()
    async with client_of(app, settings, other_organization, there.user_id) as client:
        assert (await client.get(ME)).json() == changed
