"""The exchange of an app client's secret, while it is in use."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.seeded_roles import ADMIN, MEMBER
from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.integration.api.resources.test_app_clients import PATH, ask_for_token, create
from tests.support.people import add_principal, add_role
from tests.support.tenants import Tenant

FORBIDDEN = (403, {"message": "Forbidden"})


async def exchange(api: httpx.AsyncClient, app_client: dict[str, Any], **body: Any) -> httpx.Response:
    return await api.post(f"{PATH}/{app_client['appClientId']}/secret", json=body)


async def statuses(api: httpx.AsyncClient, app_client: dict[str, Any], *secrets: str) -> list[int]:
    return [(await ask_for_token(api, app_client, secret)).status_code for secret in secrets]


async def test_both_secrets_work_for_a_while(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    former = await create(api, name="Import")
    answer = await exchange(api, former)
    assert answer.status_code == 200
    newer = answer.json()
    assert newer["clientSecret"] != former["clientSecret"]
    assert {**newer, "clientSecret": "", "updatedTime": None, "updatedBy": None} == {
        **former,
        "clientSecret": "",
    }
    assert newer["updatedBy"] is not None
    shown = (await api.get(f"{PATH}/{former['appClientId']}")).json()
    assert "clientSecret" not in shown
    both = (former["clientSecret"], newer["clientSecret"])
    assert await statuses(api, former, *both, "wrong") == [200, 200, 400]
    left = await pool.fetchval(
        "SELECT extract(epoch FROM previous_secret_expires_time - now()) FROM app_client WHERE id = $1",
        former["appClientId"],
    )
    assert 86300 < left <= 86400
    await pool.execute("UPDATE app_client SET previous_secret_expires_time = now()")
    assert await statuses(api, former, *both) == [400, 200]


async def test_a_secret_that_has_leaked_ends_at_once(api: httpx.AsyncClient) -> None:
    former = await create(api)
    newer = (await exchange(api, former, overlapSeconds=0)).json()
    assert await statuses(api, former, former["clientSecret"], newer["clientSecret"]) == [400, 200]


async def test_there_are_two_secrets_at_most(api: httpx.AsyncClient) -> None:
    secrets = [(app_client := await create(api))["clientSecret"]]
    secrets += [(await exchange(api, app_client)).json()["clientSecret"] for _ in range(2)]
    assert await statuses(api, app_client, *secrets) == [400, 200, 200]


async def test_of_concurrent_exchanges_the_last_two_work(api: httpx.AsyncClient) -> None:
    app_client = await create(api)
    answers = await asyncio.gather(*(exchange(api, app_client) for _ in range(4)))
    secrets = [answer.json()["clientSecret"] for answer in answers]
    assert sorted(await statuses(api, app_client, *secrets)) == [200, 200, 400, 400]
    assert await statuses(api, app_client, app_client["clientSecret"]) == [400]


async def test_a_public_app_client_has_none(api: httpx.AsyncClient) -> None:
    answer = await exchange(api, await create(api, generateSecret=False))
    assert answer.status_code == 400
    assert "public" in answer.json()["message"]


@pytest.mark.parametrize("body", [{"overlapSeconds": -1}, {"overlapSeconds": 2_592_001}, {"secret": "mine"}])
async def test_bad_bodies_are_refused(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    app_client = await create(api)
    answer = await exchange(api, app_client, **body)
    assert answer.status_code == 400
    assert next(iter(body)) in answer.json()["message"]
    assert await statuses(api, app_client, app_client["clientSecret"]) == [200]


async def test_a_foreign_app_client_is_unknown(
    other_api: httpx.AsyncClient, api: httpx.AsyncClient, organization: Tenant
) -> None:
    answer = await exchange(other_api, {"appClientId": organization.app_client_id})
    assert answer.status_code == 404


async def test_whoever_gets_a_secret_may_delegate_what_it_opens(
    app: Litestar, settings: Settings, organization: Tenant, pool: asyncpg.Pool, api: httpx.AsyncClient
) -> None:
    """Otherwise an app client with fewer rights could become one with more."""
    async with pool.acquire() as connection:
        clerk = await add_role(
            connection, "clerk", ("las:app-client:*", "*", "allow"), (MEMBER, "delegate", "allow")
        )
    principal_id = await add_principal(pool, organization.organization_id, "user", [clerk])
    for_anything, admin, member = [await create(api, roleIds=roles) for roles in ([], [ADMIN], [MEMBER])]
    async with client_of(app, settings, organization, principal_id) as client:
        for powerful in (for_anything, admin):
            answer = await exchange(client, powerful)
            assert (answer.status_code, answer.json()) == FORBIDDEN
            assert await statuses(api, powerful, powerful["clientSecret"]) == [200]
        assert (await exchange(client, member)).status_code == 200


async def test_an_app_client_exchanges_its_own_secret(
    app: Litestar, settings: Settings, organization: Tenant, pool: asyncpg.Pool, api: httpx.AsyncClient
) -> None:
    async with pool.acquire() as connection:
        role_id = await add_role(connection, "own", ("las:app-client:*", "write", "allow"))
    app_client = await create(api, roleIds=[role_id])
    async with client_of(app, settings, organization, app_client["appClientId"]) as itself:
        newer = (await exchange(itself, app_client)).json()["clientSecret"]
        assert await statuses(api, app_client, newer) == [200]


@pytest.mark.caller("user", MEMBER)
async def test_a_member_exchanges_no_secret(api: httpx.AsyncClient, organization: Tenant) -> None:
    answer = await exchange(api, {"appClientId": organization.app_client_id})
    assert (answer.status_code, answer.json()) == FORBIDDEN
