"""``/oauth2/authorize`` and authorization codes: where browsers are sent, and who gets tokens for a code."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from litestar import Litestar

from pagemill.api.app import create_app
from pagemill.api.auth.sign_in_requests import open_request
from pagemill.api.auth.token_throttle import Buckets
from pagemill.api.http.app_state import AppState
from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.front_door import (
    CALLBACK,
    PublicApp,
    add_public_app,
    answered,
    authorization_of,
    browser_session,
    code_for,
    exchange_of,
    new_pkce,
    sign_in,
    with_session,
)
from tests.support.people import Person, add_user
from tests.support.tenants import Tenant

AUTHORIZE = "/oauth2/authorize"
TOKEN = "/oauth2/token"
EVIL = "https://evil.example.com/callback"


async def exchanged(http: httpx.AsyncClient, parameters: dict[str, str]) -> tuple[int, str | None]:
    response = await http.post(TOKEN, params=parameters)
    return response.status_code, response.json().get("error")


REFUSED = (400, "invalid_grant")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        EVIL,
        f"{CALLBACK}/",
        f"{CALLBACK}?next=https://evil.example.com",
        f"{CALLBACK}#x",
        CALLBACK.upper(),
        CALLBACK.replace("https", "http"),
        "https://app.example.com@evil.example.com/callback",
        "https://app.example.com.evil.example.com/callback",
        "https://app.example.com/callback/../evil",
        "//evil.example.com",
        "javascript:alert(1)",
        "",
    ],
)
@pytest.mark.parametrize("changes", [{}, {"response_type": "token"}, {"code_challenge_method": "plain"}])
async def test_a_url_that_is_not_registered_is_never_gone_to(
    anonymous: httpx.AsyncClient,
    public_app: PublicApp,
    cookie: str,
    redirect_uri: str,
    changes: dict[str, str],
) -> None:
    parameters = authorization_of(public_app, new_pkce(), redirect_uri=redirect_uri, **changes)
    response = await anonymous.get(AUTHORIZE, params=parameters, headers=with_session(cookie))
    assert response.status_code == 400
    assert "location" not in response.headers
    assert response.headers["content-type"].startswith("text/plain")
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("name", ["redirect_uri", "client_id", "state"])
async def test_a_parameter_that_is_sent_twice_is_refused(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, name: str
) -> None:
    parameters = [*authorization_of(public_app, new_pkce(), state="a").items(), (name, EVIL)]
    response = await anonymous.get(AUTHORIZE, params=parameters, headers=with_session(cookie))
    assert (response.status_code, "location" in response.headers) == (400, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"client_id": ""},
        {"client_id": "a\tb"},
        {"redirect_uri": f'{CALLBACK}"'},
        {"redirect_uri": f"{CALLBACK}é"},
        {"scope": "a\\b"},
        {"state": "x" * 3000},
    ],
)
async def test_an_unusable_request_is_a_page(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, changes: dict[str, str]
) -> None:
    parameters = authorization_of(public_app, new_pkce(), **changes)
    response = await anonymous.get(AUTHORIZE, params=parameters, headers=with_session(cookie))
    assert (response.status_code, "location" in response.headers) == (400, False)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
async def test_other_mistakes_are_told_to_the_app(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, changes: dict[str, str], error: str
) -> None:
    parameters = authorization_of(public_app, new_pkce(), state='st"ate', **changes)
    response = await anonymous.get(AUTHORIZE, params=parameters, headers=with_session(cookie))
    answer = answered(response)
    assert (answer["error"], answer["state"]) == (error, 'st"ate')
    assert "code" not in answer


async def test_without_a_session_the_browser_goes_to_sign_in(
    app: Litestar, settings: Settings, anonymous: httpx.AsyncClient, public_app: PublicApp
) -> None:
    pkce = new_pkce()
    parameters = authorization_of(public_app, pkce, state="st", nonce="no", scope="openid")
    response = await anonymous.get(AUTHORIZE, params=parameters, headers=with_session("unknown"))
    path, _, sealed = response.headers["location"].partition("?request=")
    assert path == "/sign-in"
    state: AppState = app.state.pagemill
    asked = await open_request(state.tokens, sealed)
    assert (asked.app_client_id, asked.redirect_uri) == (public_app.app_client_id, CALLBACK)
    assert (asked.code_challenge, asked.state, asked.nonce) == (pkce.challenge, "st", "no")
    assert asked.scope == "openid"
    # A sealed request is no access token.
    headers = {"Authorization": f"Bearer {sealed}"}
    assert (await anonymous.get("/v1/profiles/me", headers=headers)).status_code == 403


async def test_an_app_can_ask_whether_somebody_has_signed_in(
    anonymous: httpx.AsyncClient, public_app: PublicApp
) -> None:
    parameters = authorization_of(public_app, new_pkce(), prompt="none")
    assert answered(await anonymous.get(AUTHORIZE, params=parameters)) == {"error": "login_required"}


async def test_a_session_that_is_over_signs_nobody_in(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    parameters = authorization_of(public_app, new_pkce())
    for column in ("ended_time", "expires_time"):
        await pool.execute(f"UPDATE sign_in_session SET {column} = now()")
        response = await anonymous.get(AUTHORIZE, params=parameters, headers=with_session(cookie))
        assert response.headers["location"].startswith("/sign-in?")
        await pool.execute("UPDATE sign_in_session SET ended_time = NULL")


async def test_an_app_client_gets_users_of_its_own_organization_only(
    anonymous: httpx.AsyncClient, other_app: PublicApp, cookie: str
) -> None:
    parameters = authorization_of(other_app, new_pkce())
    response = await anonymous.get(AUTHORIZE, params=parameters, headers=with_session(cookie))
    assert answered(response) == {"error": "access_denied"}


async def test_an_inactive_user_gets_no_code(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool, person: Person
) -> None:
    await pool.execute("UPDATE organization_user SET status = 'inactive' WHERE id = $1", person.user_id)
    parameters = authorization_of(public_app, new_pkce())
    response = await anonymous.get(AUTHORIZE, params=parameters, headers=with_session(cookie))
    assert answered(response) == {"error": "access_denied"}


async def test_through_the_operator_s_app_people_choose_an_organization(
    settings: Settings,
    pool: asyncpg.Pool,
    public_app: PublicApp,
    other_organization: Tenant,
    person: Person,
    cookie: str,
) -> None:
    async with pool.acquire() as connection:
        await add_user(connection, other_organization.organization_id, profile_of=person)
    spanning = msgspec.structs.replace(settings, sign_in_app_clients=f"x, {public_app.client_id}")
    application = create_app(spanning)
    async with application.lifespan(), client_of(application, spanning, None) as http:
        parameters = authorization_of(public_app, new_pkce())
        response = await http.get(AUTHORIZE, params=parameters, headers=with_session(cookie))
        assert response.headers["location"].startswith("/sign-in/organization?request=")


# --- exchange of codes


async def test_a_code_is_exchanged_once_and_its_reuse_ends_what_it_gave(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str
) -> None:
    pkce = new_pkce()
    exchange = exchange_of(public_app, pkce, await code_for(anonymous, public_app, pkce, cookie))
    token = (await anonymous.post(TOKEN, params=exchange)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await anonymous.get("/v1/profiles/me", headers=headers)).status_code == 200
    assert await exchanged(anonymous, exchange) == REFUSED
    assert (await anonymous.get("/v1/profiles/me", headers=headers)).status_code == 403
    assert await exchanged(anonymous, exchange) == REFUSED


async def test_of_concurrent_exchanges_one_succeeds(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str
) -> None:
    pkce = new_pkce()
    exchange = exchange_of(public_app, pkce, await code_for(anonymous, public_app, pkce, cookie))
    answers = await asyncio.gather(*(anonymous.post(TOKEN, params=exchange) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"code_verifier": "w" * 64}, REFUSED),
        ({"code_verifier": "short"}, (400, "invalid_request")),
        ({"code_verifier": ""}, (400, "invalid_request")),
        ({"redirect_uri": EVIL}, REFUSED),
        ({"redirect_uri": ""}, REFUSED),
        ({"code": "unknown"}, REFUSED),
        ({"client_id": "unknown"}, (400, "invalid_client")),
        ({"client_secret": "made up"}, (400, "invalid_client")),
        ({"grant_type": "client_credentials"}, (400, "unauthorized_client")),
    ],
)
async def test_whoever_has_only_the_code_gets_nothing(
    anonymous: httpx.AsyncClient,
    public_app: PublicApp,
    cookie: str,
    changes: dict[str, str],
    refused: tuple[int, str],
) -> None:
    pkce = new_pkce()
    exchange = exchange_of(public_app, pkce, await code_for(anonymous, public_app, pkce, cookie))
    assert await exchanged(anonymous, {**exchange, **changes}) == refused
    # Nothing that is wrong spends the code.
    assert (await exchanged(anonymous, exchange))[0] == 200


async def test_the_challenge_itself_is_no_verifier(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str
) -> None:
    pkce = new_pkce()
    code = await code_for(anonymous, public_app, pkce, cookie)
    exchange = exchange_of(public_app, pkce, code, code_verifier=pkce.challenge)
    assert await exchanged(anonymous, {**exchange, "code_challenge_method": "plain"}) == REFUSED


async def test_a_code_belongs_to_its_app_client(
    anonymous: httpx.AsyncClient,
    public_app: PublicApp,
    other_app: PublicApp,
    organization: Tenant,
    pool: asyncpg.Pool,
    cookie: str,
) -> None:
    async with pool.acquire() as connection:
        sister = await add_public_app(connection, organization.organization_id)
    pkce = new_pkce()
    code = await code_for(anonymous, public_app, pkce, cookie)
    for thief in (sister, other_app):
        assert await exchanged(anonymous, exchange_of(thief, pkce, code)) == REFUSED
    assert (await exchanged(anonymous, exchange_of(public_app, pkce, code)))[0] == 200


async def test_a_code_expires(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool
) -> None:
    pkce = new_pkce()
    exchange = exchange_of(public_app, pkce, await code_for(anonymous, public_app, pkce, cookie))
    await pool.execute("UPDATE authorization_code SET expires_time = now()")
    assert await exchanged(anonymous, exchange) == REFUSED


async def test_a_code_is_worth_nothing_when_its_user_has_gone(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str, pool: asyncpg.Pool, person: Person
) -> None:
    pkce = new_pkce()
    exchange = exchange_of(public_app, pkce, await code_for(anonymous, public_app, pkce, cookie))
    await pool.execute("UPDATE organization_user SET status = 'inactive' WHERE id = $1", person.user_id)
    assert await exchanged(anonymous, exchange) == REFUSED
    await pool.execute("DELETE FROM organization_user WHERE id = $1", person.user_id)
    assert await exchanged(anonymous, exchange) == REFUSED


async def test_scopes_narrow_the_tokens_of_users(
    anonymous: httpx.AsyncClient, public_app: PublicApp, cookie: str
) -> None:
    tokens = await sign_in(anonymous, public_app, cookie, scope="api.lucidtech.ai/profiles:read")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert tokens["scope"] == "api.lucidtech.ai/profiles:read"
    assert (await anonymous.get("/v1/profiles/me", headers=headers)).status_code == 200
    assert (await anonymous.get("/v1/documents", headers=headers)).status_code == 403


async def test_an_id_token_says_who_has_signed_in(
    anonymous: httpx.AsyncClient, settings: Settings, public_app: PublicApp, cookie: str, person: Person
) -> None:
    tokens = await sign_in(anonymous, public_app, cookie, scope="openid", nonce="n-0S6")
    published: Any = (await anonymous.get("/oauth2/jwks")).json()
    claims = jwt.decode(tokens["id_token"], KeySet.import_key_set(published), algorithms=["ES256"]).claims
    assert (claims["iss"], claims["aud"]) == (settings.public_url, public_app.client_id)
    assert (claims["sub"], claims["nonce"]) == (person.user_id, "n-0S6")
    assert claims["auth_time"] <= claims["iat"] < claims["exp"]
    for token in (tokens["id_token"], tokens["access_token"]):
        headers = {"Authorization": f"Bearer {token}"}
        assert (await anonymous.get("/v1/profiles/me", headers=headers)).status_code == 403


async def test_codes_and_tokens_are_not_in_the_database(
    anonymous: httpx.AsyncClient, pool: asyncpg.Pool, public_app: PublicApp, cookie: str
) -> None:
    pkce = new_pkce()
    code = await code_for(anonymous, public_app, pkce, cookie)
    tokens = (await anonymous.post(TOKEN, params=exchange_of(public_app, pkce, code))).json()
    tables = ("authorization_code", "token_grant", "refresh_token", "sign_in_session", "signing_key")
    rows = [row for table in tables for row in await pool.fetch(f"SELECT row::text FROM {table} AS row")]
    written = "\n".join(row["row"] for row in rows)
    assert public_app.app_client_id in written
    for secret in (code, cookie, pkce.verifier, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in written


async def test_old_codes_of_a_user_are_forgotten(
    anonymous: httpx.AsyncClient, pool: asyncpg.Pool, public_app: PublicApp, cookie: str, person: Person
) -> None:
    async with pool.acquire() as connection:
        other = await add_user(connection, person.organization_id)
        for one in (cookie, await browser_session(connection, other.profile_id)):
            await code_for(anonymous, public_app, new_pkce(), one)
    await pool.execute("UPDATE authorization_code SET expires_time = now() - interval '2 hours'")
    await code_for(anonymous, public_app, new_pkce(), cookie)
    users = await pool.fetch("SELECT user_id FROM authorization_code ORDER BY created_time")
    assert [row["user_id"] for row in users] == [other.user_id, person.user_id]


async def test_who_authorizes_too_often_has_to_wait(
    app: Litestar, anonymous: httpx.AsyncClient, public_app: PublicApp
) -> None:
    app.state.pagemill.token_throttle._clients = Buckets(0.001, time.monotonic, most=2)
    parameters = authorization_of(public_app, new_pkce())
    answers = [await anonymous.get(AUTHORIZE, params=parameters) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
