"""The sequence of the browser SDK over plain HTTP: authorize, code, token, call, refresh, log out."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx

from pagemill.api.auth.session_cookies import SESSION_COOKIE
from tests.support.front_door import (
    LOGOUT,
    PublicApp,
    answered,
    authorization_of,
    exchange_of,
    new_pkce,
    refresh_of,
    with_session,
)
from tests.support.people import Person


async def status_of_call(http: httpx.AsyncClient, token: str) -> int:
    answer = await http.get("/v1/profiles/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def test_the_browser_sdk_signs_in_refreshes_and_logs_out(
    anonymous: httpx.AsyncClient, public_app: PublicApp, person: Person, cookie: str
) -> None:
    pkce = new_pkce()
    parameters = authorization_of(public_app, pkce, state="csrf")
    first = await anonymous.get("/oauth2/authorize", params=parameters)
    assert first.status_code == 303
    to_sign_in = urlsplit(first.headers["location"])
    assert (to_sign_in.scheme, to_sign_in.netloc, to_sign_in.path) == ("", "", "/sign-in")
    assert list(parse_qs(to_sign_in.query)) == ["request"]

    signed_in = await anonymous.get("/oauth2/authorize", params=parameters, headers=with_session(cookie))
    answer = answered(signed_in)
    assert set(answer) == {"code", "state"}
    assert answer["state"] == "csrf"
    for header, value in {"cache-control": "no-store", "referrer-policy": "no-referrer"}.items():
        assert signed_in.headers[header] == value

    # The SDK posts an empty body that is called a form, and everything in the query.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    exchange = exchange_of(public_app, pkce, answer["code"])
    tokens = (await anonymous.post("/oauth2/token", params=exchange, headers=form)).json()
    assert set(tokens) == {"access_token", "expires_in", "token_type", "refresh_token"}
    assert (tokens["expires_in"], tokens["token_type"]) == (3600, "Bearer")
    own = await anonymous.get(
        "/v1/profiles/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert own.json()["profileId"] == person.profile_id

    # It goes on with the refresh token that it has got first, whatever comes with the answers.
    newer = tokens["access_token"]
    for _ in range(3):
        again = await anonymous.post(
            "/oauth2/token", params=refresh_of(public_app, tokens["refresh_token"]), headers=form
        )
        assert again.status_code == 200, again.text
        assert again.json()["access_token"] != newer
        newer = again.json()["access_token"]
        assert await status_of_call(anonymous, newer) == 200

    out = await anonymous.get(
        "/logout",
        params={"client_id": public_app.client_id, "logout_uri": LOGOUT},
        headers=with_session(cookie),
    )
    assert (out.status_code, out.headers["location"]) == (303, LOGOUT)
    assert f"{SESSION_COOKIE}=" in out.headers["set-cookie"]
    assert "Max-Age=0" in out.headers["set-cookie"]
    for token in (tokens["access_token"], newer):
        assert await status_of_call(anonymous, token) == 403
    refused = await anonymous.post(
        "/oauth2/token", params=refresh_of(public_app, tokens["refresh_token"]), headers=form
    )
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    anew = await anonymous.get("/oauth2/authorize", params=parameters, headers=with_session(cookie))
    assert anew.headers["location"].startswith("/sign-in?")


async def test_a_browser_answers_preflights_of_the_token_endpoint(
    anonymous: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    response = await anonymous.options(
        "/oauth2/token",
        headers={
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers
