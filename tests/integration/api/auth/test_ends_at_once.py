"""What ends the tokens of users and app clients, from the next request on and in all API processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.app import create_app
from pagemill.people.grants import exchange_code, find_code, new_grant_id
from pagemill.people.sessions import end_everything_of, find_session
from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.front_door import (
    LOGOUT,
    PublicApp,
    browser_session,
    code_for,
    exchange_of,
    new_pkce,
    refresh_of,
    sign_in,
    token_of_client,
    with_session,
)
from tests.support.people import Person
from tests.support.tenants import Tenant
from tests.support.working import until

Ending = Callable[[httpx.AsyncClient, asyncpg.Pool, Person, PublicApp, str], Awaitable[None]]


async def by_logging_out(
    api: httpx.AsyncClient, pool: asyncpg.Pool, person: Person, app: PublicApp, cookie: str
) -> None:
    parameters = {"client_id": app.client_id, "logout_uri": LOGOUT}
    response = await api.get("/logout", params=parameters, headers=with_session(cookie))
    assert response.status_code == 303


async def by_signing_out_everywhere(
    api: httpx.AsyncClient, pool: asyncpg.Pool, person: Person, app: PublicApp, cookie: str
) -> None:
    async with pool.acquire() as connection:
        await end_everything_of(connection, person.profile_id)


async def by_deleting_the_user(
    api: httpx.AsyncClient, pool: asyncpg.Pool, person: Person, app: PublicApp, cookie: str
) -> None:
    assert (await api.delete(f"/v1/users/{person.user_id}")).status_code == 200


async def by_deleting_the_app_client(
    api: httpx.AsyncClient, pool: asyncpg.Pool, person: Person, app: PublicApp, cookie: str
) -> None:
    assert (await api.delete(f"/v1/appClients/{app.app_client_id}")).status_code == 200


async def status_of(http: httpx.AsyncClient, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await http.get("/v1/organizations/me", headers=headers)).status_code


@pytest.mark.parametrize(
    "end", [by_logging_out, by_signing_out_everywhere, by_deleting_the_user, by_deleting_the_app_client]
)
async def test_tokens_of_users_end_in_all_processes(
    settings: Settings,
    api: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    pool: asyncpg.Pool,
    public_app: PublicApp,
    person: Person,
    cookie: str,
    end: Ending,
) -> None:
    tokens = await sign_in(anonymous, public_app, cookie)
    other_process = create_app(settings)
    async with other_process.lifespan(), client_of(other_process, settings, None) as elsewhere:
        for http in (anonymous, elsewhere):
            assert await status_of(http, tokens["access_token"]) == 200
        await end(api, pool, person, public_app, cookie)
        for http in (anonymous, elsewhere):
            assert await status_of(http, tokens["access_token"]) == 403
            refused = await http.post("/oauth2/token", params=refresh_of(public_app, tokens["refresh_token"]))
            assert refused.status_code == 400


@pytest.mark.parametrize("end", [by_logging_out, by_signing_out_everywhere])
async def test_a_code_ends_with_the_session_in_which_it_was_given(
    api: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    pool: asyncpg.Pool,
    public_app: PublicApp,
    person: Person,
    cookie: str,
    end: Ending,
) -> None:
    pkce = new_pkce()
    code = await code_for(anonymous, public_app, pkce, cookie)
    await end(api, pool, person, public_app, cookie)
    refused = await anonymous.post("/oauth2/token", params=exchange_of(public_app, pkce, code))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_a_code_that_is_exchanged_while_its_session_ends_is_granted_nothing(
    anonymous: httpx.AsyncClient, pool: asyncpg.Pool, public_app: PublicApp, person: Person, cookie: str
) -> None:
    code = await code_for(anonymous, public_app, new_pkce(), cookie)
    async with pool.acquire() as one, pool.acquire() as other:
        async with one.transaction():
            found = await find_code(one, code)
            assert found is not None
            ending = asyncio.create_task(end_everything_of(other, person.profile_id))
            await until(lambda: pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            await exchange_code(one, found, grant_id=new_grant_id(), seconds=60)
        await ending
    assert await pool.fetchval("SELECT count(*) FROM token_grant WHERE ended_time IS NULL") == 0
    assert await pool.fetchval("SELECT count(*) FROM token_grant") == 1


async def test_signing_out_everywhere_may_spare_one_browser(
    anonymous: httpx.AsyncClient, pool: asyncpg.Pool, public_app: PublicApp, person: Person, cookie: str
) -> None:
    async with pool.acquire() as connection:
        other_cookie = await browser_session(connection, person.profile_id)
        kept = await sign_in(anonymous, public_app, cookie)
        ended = await sign_in(anonymous, public_app, other_cookie)
        session = await find_session(connection, cookie)
        assert session is not None
        await end_everything_of(connection, person.profile_id, but=session)
        assert await find_session(connection, cookie) is not None
        assert await find_session(connection, other_cookie) is None
    assert await status_of(anonymous, kept["access_token"]) == 200
    assert await status_of(anonymous, ended["access_token"]) == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"logout_uri": "https://evil.example.com"},
        {"logout_uri": f"{LOGOUT}/"},
        {"logout_uri": ""},
        {"client_id": "unknown"},
        {"client_id": ""},
    ],
)
async def test_nobody_is_signed_out_towards_an_unknown_url(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, changes: dict[str, str]
) -> None:
    tokens = await sign_in(anonymous, public_app, cookie)
    parameters = {"client_id": public_app.client_id, "logout_uri": LOGOUT, **changes}
    response = await anonymous.get("/logout", params=parameters, headers=with_session(cookie))
    assert (response.status_code, "location" in response.headers) == (400, False)
    assert await status_of(anonymous, tokens["access_token"]) == 200


async def test_logging_out_without_a_session_only_redirects(
    anonymous: httpx.AsyncClient, public_app: PublicApp
) -> None:
    parameters = {"client_id": public_app.client_id, "logout_uri": LOGOUT}
    response = await anonymous.get("/logout", params=parameters)
    assert (response.status_code, response.headers["location"]) == (303, LOGOUT)


@pytest.mark.parametrize(("overlap", "status"), [(3600, 200), (0, 403)])
async def test_tokens_of_a_former_secret_work_during_the_overlap(
    api: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    organization: Tenant,
    pool: asyncpg.Pool,
    overlap: int,
    status: int,
) -> None:
    former = await token_of_client(anonymous, organization.client_id, organization.client_secret)
    path = f"/v1/appClients/{organization.app_client_id}/secret"
    made = await api.post(path, json={"overlapSeconds": overlap})
    assert made.status_code == 200, made.text
    newer = await token_of_client(anonymous, organization.client_id, made.json()["clientSecret"])
    assert await status_of(anonymous, former) == status
    assert await status_of(anonymous, newer) == 200
    await pool.execute("UPDATE app_client SET previous_secret_expires_time = now()")
    assert await status_of(anonymous, former) == 403
    assert await status_of(anonymous, newer) == 200


async def test_a_user_s_token_is_nobody_else_s(
    app: Litestar, anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, organization: Tenant
) -> None:
    """A grant belongs to one user of one organization."""
    from pagemill.api.auth.tokens import Caller
    from tests.support.tokens import token_of

    tokens = await sign_in(anonymous, public_app, cookie)
    state = app.state.pagemill
    own = await state.tokens.read(tokens["access_token"])
    for caller in (
        Caller(own.organization_id, "las:user:other", grant_id=own.grant_id),
        Caller("las:organization:other", own.principal_id, grant_id=own.grant_id),
        Caller(own.organization_id, own.principal_id, grant_id=None),
        Caller(own.organization_id, own.principal_id, grant_id="las:grant:other"),
    ):
        assert await status_of(anonymous, await state.tokens.issue(caller)) == 403
    assert await status_of(anonymous, await token_of(app, own.organization_id, own.principal_id)) == 200
