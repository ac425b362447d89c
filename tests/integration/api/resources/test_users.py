"""Users through HTTP."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.seeded_roles import ADMIN, MEMBER, VALIDATOR
from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.people import add_app_client, add_role, add_user
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant

PATH = "/v1/users"


async def invite(api: httpx.AsyncClient, email: str = "ada@example.com", **body: Any) -> dict[str, Any]:
    response = await api.post(PATH, json={"email": email, **body})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def let_run_out(pool: asyncpg.Pool, user_id: str) -> None:
    await pool.execute("UPDATE organization_user SET invitation_expires = now() WHERE id = $1", user_id)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("app-client", marks=pytest.mark.caller("app-client")),
        pytest.param("user", marks=pytest.mark.caller("user", ADMIN)),
    ],
)
async def test_an_invited_user(api: httpx.AsyncClient, principal_id: str, kind: str) -> None:
    user = await invite(api)
    assert user == {
        "userId": user["userId"],
        "profileId": None,
        "status": "invite_pending",
        "metadata": None,
        "roleIds": [],
        "createdTime": user["createdTime"],
        "createdBy": principal_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert (await api.get(f"{PATH}/{user['userId']}")).json() == user
    assert user in (await api.get(PATH)).json()["users"]


async def test_an_invitation_is_valid_for_90_days(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    user = await invite(api, "Ada@Example.com", appClientId=organization.app_client_id)
    row = await pool.fetchrow("SELECT * FROM organization_user WHERE id = $1", user["userId"])
    assert row["invitation_expires"] - row["created_time"] == datetime.timedelta(days=90)
    assert (row["email"], row["app_client_id"]) == ("ada@example.com", organization.app_client_id)


@pytest.mark.caller("app-client")
async def test_members_are_returned_and_updated(api: httpx.AsyncClient, principal_id: str) -> None:
    user = await invite(api, metadata={"team": "a"}, roleIds=[MEMBER])
    assert (user["metadata"], user["roleIds"]) == ({"team": "a"}, [MEMBER])
    path = f"{PATH}/{user['userId']}"
    changed = (await api.patch(path, json={"roleIds": [VALIDATOR]})).json()
    assert changed == {
        **user,
        "roleIds": [VALIDATOR],
        "updatedTime": changed["updatedTime"],
        "updatedBy": principal_id,
    }
    assert changed["updatedTime"] is not None
    cleared = (await api.patch(path, json={"metadata": None})).json()
    assert (cleared["metadata"], cleared["roleIds"]) == (None, [VALIDATOR])
    assert (await api.get(path)).json() == cleared


async def test_an_address_is_one_user_however_often_it_is_invited(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    user = await invite(api)
    for email in ("ada@example.com", "ADA@example.COM"):
        assert (await invite(api, email))["userId"] == user["userId"]
    assert (await invite(api, "ada+1@example.com"))["userId"] != user["userId"]
    assert await used(pool, organization.organization_id, "users") == 2


async def test_an_active_or_deactivated_user_is_not_invited(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    for status in ("active", "inactive"):
        async with pool.acquire() as connection:
            person = await add_user(connection, organization.organization_id, status=status)
        assert (await api.post(PATH, json={"email": person.email})).status_code == 400
        assert (await api.get(f"{PATH}/{person.user_id}")).json()["status"] == status


@pytest.mark.caller("app-client")
async def test_an_expired_invitation_is_renewed(
    api: httpx.AsyncClient, organization: Tenant, principal_id: str, pool: asyncpg.Pool
) -> None:
    user = await invite(api, metadata={"a": 1}, roleIds=[MEMBER])
    await let_run_out(pool, user["userId"])
    assert (await api.get(f"{PATH}/{user['userId']}")).json()["status"] == "inactive"
    again = await invite(api, roleIds=[VALIDATOR])
    assert again == {
        **user,
        "metadata": None,
        "roleIds": [VALIDATOR],
        "updatedTime": again["updatedTime"],
        "updatedBy": principal_id,
    }
    assert again["status"] == "invite_pending"
    assert (await invite(api))["userId"] == user["userId"]
    assert await used(pool, organization.organization_id, "users") == 1


@pytest.mark.parametrize("runs_out", [True, False])
async def test_invitations_that_are_sent_together_are_one_user(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool, runs_out: bool
) -> None:
    user = await invite(api)
    if runs_out:
        await let_run_out(pool, user["userId"])
    answers = await asyncio.gather(*[invite(api) for _ in range(3)])
    assert {answer["userId"] for answer in answers} == {user["userId"]}
    assert await used(pool, organization.organization_id, "users") == 1


async def test_the_same_address_in_another_organization_is_another_user(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    assert (await invite(api))["userId"] != (await invite(other_api))["userId"]
    assert len((await api.get(PATH)).json()["users"]) == 1


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "email"),
        ({"email": None}, "email"),
        ({"email": "ada"}, "email"),
        ({"email": "ada@example"}, "email"),
        ({"email": "@example.com"}, "email"),
        ({"email": "ada@example.com\n"}, "email"),
        ({"email": "ada@exa mple.com"}, "email"),
        ({"email": f"ada@{'x' * 250}.com"}, "email"),
        ({"email": "ada@" + "a." * 120 + "1"}, "email"),
        ({"email": "bob@example.com", "name": "Bob"}, "name"),
        ({"email": "bob@example.com", "avatar": "x"}, "avatar"),
        ({"email": "bob@example.com", "metadata": []}, "metadata"),
        ({"email": "bob@example.com", "metadata": {"a": "x" * 4096}}, "metadata"),
        ({"email": "bob@example.com", "roleIds": ["admin"]}, "roleIds"),
        ({"email": "bob@example.com", "roleIds": ["las:role:unknown"]}, "roleIds"),
        ({"email": "bob@example.com", "appClientId": "las:app-client:unknown"}, "appClientId"),
        ({"email": "bob@example.com", "appClientId": "unknown"}, "appClientId"),
    ],
)
async def test_bad_invitations(api: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    response = await api.post(PATH, json=body)
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert (await api.get(PATH)).json()["users"] == []


async def test_a_foreign_app_client_is_answered_like_an_unknown_one(
    api: httpx.AsyncClient, other_organization: Tenant
) -> None:
    foreign = other_organization.app_client_id
    unknown = "las:app-client:unknown"
    answers = [
        await api.post(PATH, json={"email": "ada@example.com", "appClientId": one})
        for one in (foreign, unknown)
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].text.replace(foreign, unknown) == answers[1].text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "bob@example.com"},
        {"status": "active"},
        {"roleIds": None},
        {"roleIds": ["las:role:unknown"]},
        {"metadata": {"a": "x" * 4096}},
        {"name": "Ada"},
    ],
)
async def test_bad_updates(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    user = await invite(api)
    response = await api.patch(f"{PATH}/{user['userId']}", json=body)
    assert response.status_code == 400
    assert all(name in response.json()["message"] for name in body)
    assert (await api.get(f"{PATH}/{user['userId']}")).json() == user


async def test_foreign_ids_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    foreign = (await invite(other_api))["userId"]
    unknown = f"las:user:{'0' * 32}"
    for method, body in (("GET", None), ("PATCH", {"metadata": {}}), ("DELETE", None)):
        answers = [await api.request(method, f"{PATH}/{one}", json=body) for one in (foreign, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content.replace(foreign.encode(), unknown.encode()) == answers[1].content
    assert (await other_api.get(f"{PATH}/{foreign}")).status_code == 200


@pytest.mark.caller("user", ADMIN)
async def test_users_cannot_delete_themselves(api: httpx.AsyncClient, principal_id: str) -> None:
    response = await api.delete(f"{PATH}/{principal_id}")
    assert (response.status_code, response.json()["message"]) == (400, "Users cannot delete themselves")
    assert (await api.get(f"{PATH}/{principal_id}")).json()["status"] == "active"


async def test_deleting_a_user_ends_its_tokens_and_keeps_the_profile(
    app: Litestar, settings: Settings, api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id)
    async with client_of(app, settings, organization, person.user_id) as client:
        assert (await client.get(PATH)).status_code == 200
        deleted = await api.delete(f"{PATH}/{person.user_id}")
        assert (deleted.status_code, deleted.json()["userId"]) == (200, person.user_id)
        response = await client.get(PATH)
        assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})
    assert (await api.get(f"{PATH}/{person.user_id}")).status_code == 404
    assert await pool.fetchval("SELECT count(*) FROM profile WHERE id = $1", person.profile_id) == 1


async def test_concurrent_deletes_count_once(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    path = f"{PATH}/{(await invite(api))['userId']}"
    answers = await asyncio.gather(*[api.delete(path) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert await used(pool, organization.organization_id, "users") == 0


async def test_users_are_counted_against_the_plan(
    limited_api: httpx.AsyncClient, limited_organization: Tenant, pool: asyncpg.Pool
) -> None:
    user = await invite(limited_api)
    refused = await limited_api.post(PATH, json={"email": "bob@example.com"})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    await let_run_out(pool, user["userId"])
    assert (await invite(limited_api))["userId"] == user["userId"]
    assert len((await limited_api.get(PATH)).json()["users"]) == 1
    assert await used(pool, limited_organization.organization_id, "users") == 1


async def test_paging_survives_inserts_and_deletes(api: httpx.AsyncClient) -> None:
    ids = [(await invite(api, f"u{number}@example.com"))["userId"] for number in range(4)]
    first = (await api.get(PATH, params={"maxResults": "2"})).json()
    assert [user["userId"] for user in first["users"]] == ids[:2]
    await api.delete(f"{PATH}/{ids[1]}")
    late = (await invite(api, "late@example.com"))["userId"]
    second = (await api.get(PATH, params={"nextToken": first["nextToken"]})).json()
    assert [user["userId"] for user in second["users"]] == [*ids[2:], late]
    assert second["nextToken"] is None
    assert (await api.get(PATH, params={"nextToken": "foo"})).status_code == 400


async def test_list_runs_the_same_statements_for_any_number(api: httpx.AsyncClient) -> None:
    for number in range(3):
        await invite(api, f"u{number}@example.com")
    with statements_run() as names:
        await api.get(PATH)
    assert names == ["principals.find_principal", "users.list_users"]


@pytest.mark.caller("user", MEMBER)
async def test_members_cannot_invite_users(api: httpx.AsyncClient, principal_id: str) -> None:
    assert (await api.get(PATH)).status_code == 200
    for response in (
        await api.post(PATH, json={"email": "ada@example.com"}),
        await api.patch(f"{PATH}/{principal_id}", json={"roleIds": [ADMIN]}),
        await api.delete(f"{PATH}/las:user:{'0' * 32}"),
    ):
        assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


@pytest.mark.caller("user", ADMIN)
async def test_giving_roles_needs_the_permission_to_delegate_them(
    app: Litestar, settings: Settings, api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        role_id = await add_role(
            connection, "inviter", ("las:user:*", "*", "allow"), (VALIDATOR, "delegate", "allow")
        )
        inviter = await add_app_client(connection, organization.organization_id, role_ids=[role_id])
    async with client_of(app, settings, organization, inviter) as client:
        user = await invite(client, roleIds=[VALIDATOR])
        path = f"{PATH}/{user['userId']}"
        for role_ids in ([ADMIN], [VALIDATOR, MEMBER], []):
            for response in (
                await client.post(PATH, json={"email": "bob@example.com", "roleIds": role_ids}),
                await client.patch(path, json={"roleIds": role_ids}),
            ):
                assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})
        assert (await client.patch(path, json={"metadata": {"a": 1}})).json()["roleIds"] == [VALIDATOR]
    assert (await api.patch(path, json={"roleIds": []})).json()["roleIds"] == []
