"""App clients through HTTP."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.people import add_app_client
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant

PATH = "/v1/appClients"
ADDRESSES = {
    "callbackUrls": ["https://a.example.com/callback", "http://localhost:3000"],
    "logoutUrls": ["http://localhost"],
    "loginUrls": ["https://a.example.com/login?x=1#y"],
    "defaultLoginUrl": "https://a.example.com/login",
}


async def create(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post(PATH, json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def ask_for_token(api: httpx.AsyncClient, app_client: dict[str, Any], secret: str) -> httpx.Response:
    return await api.post(
        "https://localhost/token",
        params={"grant_type": "client_credentials"},
        auth=(app_client["clientId"], secret),
    )


async def test_defaults(api: httpx.AsyncClient, organization: Tenant) -> None:
    app_client = await create(api)
    assert app_client == {
        "appClientId": app_client["appClientId"],
        "clientId": app_client["clientId"],
        "clientSecret": app_client["clientSecret"],
        "hasSecret": True,
        "name": None,
        "description": None,
        "callbackUrls": None,
        "logoutUrls": None,
        "loginUrls": None,
        "defaultLoginUrl": None,
        "roleIds": [],
        "createdTime": app_client["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert re.fullmatch(r"las:app-client:[a-z0-9-_]+", app_client["appClientId"])
    assert re.fullmatch(r"[0-9a-z]+", app_client["clientId"])
    assert len(app_client["clientSecret"]) >= 32


async def test_members_are_returned_and_updated(api: httpx.AsyncClient, organization: Tenant) -> None:
    body = {"name": "Shop", "description": "Signs in", "generateSecret": False, **ADDRESSES}
    app_client = await create(api, **body)
    assert "clientSecret" not in app_client
    assert {**app_client, "generateSecret": False} == {**app_client, **body}
    assert app_client["hasSecret"] is False
    path = f"{PATH}/{app_client['appClientId']}"
    assert (await api.get(path)).json() == app_client
    change = {"name": None, "loginUrls": [], "defaultLoginUrl": "http://localhost/login"}
    changed = (await api.patch(path, json=change)).json()
    assert changed == {
        **app_client,
        **change,
        "updatedTime": changed["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    assert changed["updatedTime"] is not None
    assert (await api.get(path)).json() == changed


async def test_the_secret_is_shown_once_and_only_its_hash_is_stored(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    app_client = await create(api)
    secret = app_client["clientSecret"]
    path = f"{PATH}/{app_client['appClientId']}"
    answers = [
        await api.get(path),
        await api.get(PATH),
        await api.patch(path, json={"name": "x"}),
    ]
    assert (await ask_for_token(api, app_client, secret)).status_code == 200
    answers.append(await api.delete(path))
    assert all("clientSecret" not in answer.text and secret not in answer.text for answer in answers)
    rows = await pool.fetch("SELECT app_client::text AS row FROM app_client")
    assert all(secret not in row["row"] for row in rows)


async def test_a_token_works_until_the_app_client_is_deleted(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    app_client = await create(api)
    path = f"{PATH}/{app_client['appClientId']}"
    granted = await ask_for_token(api, app_client, app_client["clientSecret"])
    headers = {"Authorization": f"Bearer {granted.json()['access_token']}"}
    assert (await anonymous.get(path, headers=headers)).json()["appClientId"] == app_client["appClientId"]
    refused = await anonymous.delete(path, headers=headers)
    assert (refused.status_code, refused.json()["message"]) == (400, "An app client cannot delete itself")
    deleted = await api.delete(path)
    assert (deleted.status_code, deleted.json()["appClientId"]) == (200, app_client["appClientId"])
    after = await anonymous.get(path, headers=headers)
    assert (after.status_code, after.json()) == (403, {"message": "Forbidden"})
    assert (await ask_for_token(api, app_client, app_client["clientSecret"])).status_code == 400
    assert (await api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 404


@pytest.mark.parametrize(
    ("secret", "error"),
    [("", "unauthorized_client"), ("None", "invalid_client"), ("null", "invalid_client")],
)
async def test_a_public_app_client_gets_no_token_for_credentials(
    api: httpx.AsyncClient, secret: str, error: str
) -> None:
    public = await create(api, generateSecret=False, callbackUrls=["https://a.example.com"])
    response = await ask_for_token(api, public, secret)
    assert (response.status_code, response.json()["message"]) == (400, error)


async def test_an_app_client_cannot_delete_itself(api: httpx.AsyncClient, organization: Tenant) -> None:
    assert (await api.delete(f"{PATH}/{organization.app_client_id}")).status_code == 400
    assert (await api.get(f"{PATH}/{organization.app_client_id}")).status_code == 200


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"apiKey": "x"}, "apiKey"),
        ({"name": 1}, "name"),
        ({"name": "x" * 4097}, "name"),
        ({"name": "a\0b"}, "U+0000"),
        ({"description": []}, "description"),
        ({"roleIds": ["admin"]}, "roleIds"),
        ({"roleIds": ["las:role:unknown"]}, "roleIds"),
        ({"roleIds": None}, "roleIds"),
        ({"roleIds": ["las:role:x"] * 101}, "roleIds"),
        ({"loginUrls": None}, "loginUrls"),
        ({"loginUrls": "https://a.example.com"}, "loginUrls"),
        ({"loginUrls": ["https://a.example.com"] * 101}, "loginUrls"),
        ({"defaultLoginUrl": None}, "defaultLoginUrl"),
        ({"defaultLoginUrl": f"https://a.example.com/{'x' * 4096}"}, "defaultLoginUrl"),
        ({"clientSecret": "x"}, "clientSecret"),
    ],
)
async def test_bad_members_are_named(api: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    app_client = await create(api)
    path = f"{PATH}/{app_client['appClientId']}"
    for response in (await api.post(PATH, json=body), await api.patch(path, json=body)):
        assert response.status_code == 400
        assert named in response.json()["message"]
    assert len((await api.get(PATH)).json()["appClients"]) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://localhost",
        "javascript:alert(1)",
        "//localhost",
        "http://localhost.example.com",
        "http://localhost@example.com",
        "http://localhost:pass@example.com/",
        "http://localhost:x/",
        "http://localhost:99999/",
        "http://localhost\\@example.com",
        "http://localhost\n.example.com",
        "https://",
        "https:///path",
        "https://user@example.com",
        "https://example.com/a b",
        "https://example.com/\t",
        "https://[::1",
    ],
)
async def test_unsafe_urls_are_refused(api: httpx.AsyncClient, url: str) -> None:
    app_client = await create(api)
    for member, value in (("loginUrls", [url]), ("defaultLoginUrl", url)):
        for response in (
            await api.post(PATH, json={member: value}),
            await api.patch(f"{PATH}/{app_client['appClientId']}", json={member: value}),
        ):
            assert response.status_code == 400
            assert member in response.json()["message"]
    for member in ("callbackUrls", "logoutUrls"):
        response = await api.post(PATH, json={member: ["https://a.example.com", url]})
        assert (response.status_code, member in response.json()["message"]) == (400, True)


@pytest.mark.parametrize("member", ["callbackUrls", "logoutUrls", "generateSecret"])
async def test_members_that_cannot_be_changed_are_refused(api: httpx.AsyncClient, member: str) -> None:
    app_client = await create(api)
    response = await api.patch(f"{PATH}/{app_client['appClientId']}", json={member: []})
    assert (response.status_code, member in response.json()["message"]) == (400, True)
    assert (await api.patch(f"{PATH}/{app_client['appClientId']}", json={})).status_code == 400


async def test_foreign_ids_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    foreign = (await create(other_api))["appClientId"]
    unknown = f"las:app-client:{'0' * 32}"
    for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", None)):
        answers = [await api.request(method, f"{PATH}/{one}", json=body) for one in (foreign, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content.replace(foreign.encode(), unknown.encode()) == answers[1].content
    assert (await other_api.get(f"{PATH}/{foreign}")).json()["name"] is None


async def test_paging_survives_inserts_and_deletes(api: httpx.AsyncClient, organization: Tenant) -> None:
    ids = [organization.app_client_id, *[(await create(api))["appClientId"] for _ in range(3)]]
    first = (await api.get(PATH, params={"maxResults": "2"})).json()
    assert [one["appClientId"] for one in first["appClients"]] == ids[:2]
    await api.delete(f"{PATH}/{ids[1]}")
    late = (await create(api))["appClientId"]
    second = (await api.get(PATH, params={"nextToken": first["nextToken"]})).json()
    assert [one["appClientId"] for one in second["appClients"]] == [*ids[2:], late]
    assert second["nextToken"] is None
    assert (await api.get(PATH, params={"nextToken": "foo"})).status_code == 400


async def test_list_runs_the_same_statements_for_any_number(api: httpx.AsyncClient) -> None:
    for _ in range(3):
        await create(api)
    with statements_run() as names:
        await api.get(PATH)
    assert names == ["principals.find_principal", "app_clients.list_app_clients"]


async def test_app_clients_are_counted_against_the_plan(
    limited_api: httpx.AsyncClient, limited_organization: Tenant, pool: asyncpg.Pool
) -> None:
    refused = await limited_api.post(PATH, json={})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    assert len((await limited_api.get(PATH)).json()["appClients"]) == 1
    assert await used(pool, limited_organization.organization_id, "app-clients") == 1


async def test_concurrent_deletes_count_once(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    path = f"{PATH}/{(await create(api))['appClientId']}"
    assert await used(pool, organization.organization_id, "app-clients") == 2
    answers = await asyncio.gather(*[api.delete(path) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert await used(pool, organization.organization_id, "app-clients") == 1


async def test_two_app_clients_delete_each_other(
    app: Litestar, settings: Settings, api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        other = await add_app_client(connection, organization.organization_id)
    async with client_of(app, settings, organization, other) as other_client:
        assert (await other_client.delete(f"{PATH}/{organization.app_client_id}")).status_code == 200
    assert (await api.get(PATH)).status_code == 403
