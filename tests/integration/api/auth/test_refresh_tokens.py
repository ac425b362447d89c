"""Refresh tokens: each has one successor, and what was stolen is noticed."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest
from litestar import Litestar

from tests.support.front_door import Answer, PublicApp, add_public_app, refresh_of, sign_in
from tests.support.people import Person
from tests.support.tenants import Tenant

TOKEN = "/oauth2/token"


async def refresh(http: httpx.AsyncClient, app: PublicApp, token: str) -> Answer:
    response = await http.post(TOKEN, params=refresh_of(app, token))
    assert response.status_code == 200, response.text
    answer: Answer = response.json()
    return answer


async def refused(http: httpx.AsyncClient, app: PublicApp, token: str) -> bool:
    response = await http.post(TOKEN, params=refresh_of(app, token))
    if response.status_code == 200:
        return False
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    return True


async def works(http: httpx.AsyncClient, access_token: str) -> bool:
    headers = {"Authorization": f"Bearer {access_token}"}
    return (await http.get("/v1/profiles/me", headers=headers)).status_code == 200


async def test_a_token_is_replaced_whenever_it_is_used(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str
) -> None:
    tokens = [await sign_in(anonymous, public_app, cookie)]
    for _ in range(3):
        tokens.append(await refresh(anonymous, public_app, tokens[-1]["refresh_token"]))
    assert len({one["refresh_token"] for one in tokens}) == 4
    assert all([await works(anonymous, one["access_token"]) for one in tokens])


async def test_the_reuse_of_a_token_whose_successor_was_used_ends_the_family(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    other = await sign_in(anonymous, public_app, cookie)
    first = await sign_in(anonymous, public_app, cookie)
    second = await refresh(anonymous, public_app, first["refresh_token"])
    third = await refresh(anonymous, public_app, second["refresh_token"])
    assert await refused(anonymous, public_app, first["refresh_token"])
    for one in (first, second, third):
        assert not await works(anonymous, one["access_token"])
        assert await refused(anonymous, public_app, one["refresh_token"])
    reasons = await pool.fetch("SELECT reason FROM token_grant WHERE ended_time IS NOT NULL")
    assert [row["reason"] for row in reasons] == ["a refresh token was used again"]
    # What was granted by another sign-in goes on.
    assert await works(anonymous, other["access_token"])
    assert not await refused(anonymous, public_app, other["refresh_token"])


async def a_minute_passes(pool: asyncpg.Pool) -> None:
    await pool.execute("UPDATE refresh_token SET used_time = used_time - interval '1 minute'")


async def test_a_thief_and_the_app_do_not_both_go_on(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    """Even if both refresh in turn, so that neither ever presents a token before the last but one."""
    stolen = (await sign_in(anonymous, public_app, cookie))["refresh_token"]
    of_thief = await refresh(anonymous, public_app, stolen)
    await a_minute_passes(pool)
    of_app = await refresh(anonymous, public_app, stolen)
    assert of_thief["refresh_token"] == of_app["refresh_token"]
    newer = await refresh(anonymous, public_app, of_thief["refresh_token"])
    await a_minute_passes(pool)
    assert await refused(anonymous, public_app, of_app["refresh_token"])
    assert await refused(anonymous, public_app, newer["refresh_token"])
    for one in (of_thief, of_app, newer):
        assert not await works(anonymous, one["access_token"])


async def test_the_first_token_may_be_kept_by_clients_that_know_no_rotation(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    first = (await sign_in(anonymous, public_app, cookie))["refresh_token"]
    for _ in range(3):
        assert not await refused(anonymous, public_app, first)
        await a_minute_passes(pool)


async def test_another_key_of_the_operator_opens_no_token_that_was_used(
    app: Litestar,
    anonymous: httpx.AsyncClient,
    public_app: PublicApp,
    cookie: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Successors are computed with that key; who has presented one is known all the same."""
    first = (await sign_in(anonymous, public_app, cookie))["refresh_token"]
    second = (await refresh(anonymous, public_app, first))["refresh_token"]
    third = (await refresh(anonymous, public_app, second))["refresh_token"]
    monkeypatch.setattr(app.state.pagemill.refresh_tokens, "_key", b"x" * 32)
    fourth = (await refresh(anonymous, public_app, third))["refresh_token"]
    assert not await refused(anonymous, public_app, fourth)
    assert await refused(anonymous, public_app, first)
    assert await refused(anonymous, public_app, fourth)


async def test_an_answer_that_was_lost_is_given_again(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str
) -> None:
    first = (await sign_in(anonymous, public_app, cookie))["refresh_token"]
    second = (await refresh(anonymous, public_app, first))["refresh_token"]
    answers = [await refresh(anonymous, public_app, second) for _ in range(2)]
    assert answers[0]["refresh_token"] == answers[1]["refresh_token"]


async def test_concurrent_refreshes_get_one_successor(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    """Calls of one page that find the access token expired all refresh it."""
    token = (await sign_in(anonymous, public_app, cookie))["refresh_token"]
    answers = await asyncio.gather(*(refresh(anonymous, public_app, token) for _ in range(6)))
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert len({answer["access_token"] for answer in answers}) == 6
    assert await pool.fetchval("SELECT count(*) FROM refresh_token") == 2
    assert all([await works(anonymous, answer["access_token"]) for answer in answers])


async def test_concurrent_refreshes_with_two_generations_end_the_family_or_go_on_with_one(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    first = (await sign_in(anonymous, public_app, cookie))["refresh_token"]
    second = (await refresh(anonymous, public_app, first))["refresh_token"]
    third = (await refresh(anonymous, public_app, second))["refresh_token"]
    answers = await asyncio.gather(
        *(refused(anonymous, public_app, one) for one in (third, first, third, first))
    )
    assert answers[1]
    assert answers[3]
    assert await pool.fetchval("SELECT count(*) FROM token_grant WHERE ended_time IS NULL") == 0
    assert await refused(anonymous, public_app, third)


async def test_a_token_belongs_to_its_app_client(
    anonymous: httpx.AsyncClient,
    public_app: PublicApp,
    other_app: PublicApp,
    organization: Tenant,
    pool: asyncpg.Pool,
    cookie: str,
) -> None:
    async with pool.acquire() as connection:
        sister = await add_public_app(connection, organization.organization_id)
    tokens = await sign_in(anonymous, public_app, cookie)
    for thief in (sister, other_app):
        assert await refused(anonymous, thief, tokens["refresh_token"])
    assert await works(anonymous, tokens["access_token"])
    assert not await refused(anonymous, public_app, tokens["refresh_token"])


@pytest.mark.parametrize("kind", ["access_token", "unknown"])
async def test_nothing_else_refreshes(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, kind: str
) -> None:
    tokens = await sign_in(anonymous, public_app, cookie)
    assert await refused(anonymous, public_app, tokens.get(kind, "unknown"))


async def test_a_token_expires_with_its_grant(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    first = (await sign_in(anonymous, public_app, cookie))["refresh_token"]
    second = (await refresh(anonymous, public_app, first))["refresh_token"]
    lifetimes = await pool.fetch("SELECT DISTINCT expires_time FROM refresh_token")
    assert len(lifetimes) == 1, "refreshing does not make it longer"
    await pool.execute("UPDATE refresh_token SET expires_time = now()")
    assert await refused(anonymous, public_app, second)


async def test_scopes_are_kept_and_can_be_fewer(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str
) -> None:
    both = "api.lucidtech.ai/documents:read api.lucidtech.ai/profiles:read"
    tokens = await sign_in(anonymous, public_app, cookie, scope=both)
    again = await refresh(anonymous, public_app, tokens["refresh_token"])
    assert again["scope"] == both
    narrow = {**refresh_of(public_app, again["refresh_token"]), "scope": "api.lucidtech.ai/documents:read"}
    fewer = (await anonymous.post(TOKEN, params=narrow)).json()
    assert fewer["scope"] == "api.lucidtech.ai/documents:read"
    assert not await works(anonymous, fewer["access_token"])
    wide = {**refresh_of(public_app, fewer["refresh_token"]), "scope": "api.lucidtech.ai/users:write"}
    response = await anonymous.post(TOKEN, params=wide)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


async def test_an_inactive_user_refreshes_nothing(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool, person: Person
) -> None:
    tokens = await sign_in(anonymous, public_app, cookie)
    await pool.execute("UPDATE organization_user SET status = 'inactive' WHERE id = $1", person.user_id)
    assert await refused(anonymous, public_app, tokens["refresh_token"])
    await pool.execute("UPDATE organization_user SET status = 'active' WHERE id = $1", person.user_id)
    assert not await refused(anonymous, public_app, tokens["refresh_token"])


async def test_grants_that_are_over_are_forgotten_with_their_tokens(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    for _ in range(2):
        await sign_in(anonymous, public_app, cookie)
    await pool.execute("UPDATE token_grant SET expires_time = now() - interval '2 days'")
    await sign_in(anonymous, public_app, cookie)
    counts = [
        await pool.fetchval(f"SELECT count(*) FROM {table}") for table in ("token_grant", "refresh_token")
    ]
    assert counts == [1, 1]
