"""Tests of tokens for client credentials."""

from __future__ import annotations

import base64
import logging
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.http.access_log import access_log
from pagemill.logging_setup import JsonFormatter
from tests.support.tenants import Tenant

GRANT = {"grant_type": "client_credentials"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


@pytest.mark.parametrize("path", ["/token", "/oauth2/token"])
@pytest.mark.parametrize("way", ["basic and query", "basic and form", "query", "form"])
async def test_token_is_issued_and_works(
    anonymous: httpx.AsyncClient, organization: Tenant, path: str, way: str
) -> None:
    credentials = {"client_id": organization.client_id, "client_secret": organization.client_secret}
    header = basic(organization.client_id, organization.client_secret)
    requests: dict[str, dict[str, Any]] = {
        "basic and query": {"params": GRANT, "headers": header},
        "basic and form": {"data": GRANT, "headers": header},
        "query": {"params": GRANT | credentials},
        "form": {"data": GRANT | credentials},
    }
    response = await anonymous.post(path, **requests[way])
    assert response.status_code == 200
    token = response.json()
    assert token == {
        "access_token": token["access_token"],
        "expires_in": 3600,
        "token_type": "Bearer",
    }
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    own = await anonymous.get("/v1/organizations/me", headers=headers)
    assert own.json()["organizationId"] == organization.organization_id


async def test_request_of_the_python_client(anonymous: httpx.AsyncClient, organization: Tenant) -> None:
    """An empty body that is called a form."""
    response = await anonymous.post(
        "/token?grant_type=client_credentials",
        headers=basic(organization.client_id, organization.client_secret)
        | {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 200


async def test_bad_credentials(
    anonymous: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        "INSERT INTO app_client (id, organization_id, client_id) VALUES ('las:app-client:p', $1, 'public')",
        organization.organization_id,
    )
    for headers in (
        {},
        basic(organization.client_id, "wrong"),
        basic(organization.client_id, ""),
        basic("unknown", organization.client_secret),
        basic("public", ""),
        basic("a\0b", "c"),
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
    ):
        response = await anonymous.post("/token", params=GRANT, headers=headers)
        assert response.status_code == 400, headers
        assert isinstance(response.json()["message"], str)


@pytest.mark.parametrize("grant", [{}, {"grant_type": "password"}, {"grant_type": "authorization_code"}])
async def test_other_grants(
    anonymous: httpx.AsyncClient, organization: Tenant, grant: dict[str, str]
) -> None:
    headers = basic(organization.client_id, organization.client_secret)
    response = await anonymous.post("/token", params=grant, headers=headers)
    assert response.status_code == 400
    assert response.json()["message"].startswith("grant_type:")


async def test_large_form_is_refused(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.post("/token", data={"grant_type": "x" * 10_000})
    assert response.status_code == 413
    assert "message" in response.json()


async def test_secrets_are_not_logged(
    anonymous: httpx.AsyncClient,
    organization: Tenant,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = GRANT | {"client_id": organization.client_id, "client_secret": organization.client_secret}
    monkeypatch.setattr(logging.getLogger("pagemill"), "propagate", True)
    with caplog.at_level(logging.DEBUG, "pagemill"):
        token = (await anonymous.post("/token", params=params)).json()["access_token"]
        await anonymous.get("/v1/documents", headers={"Authorization": f"Bearer {token}"})
        access_log.write()
    records = [record for record in caplog.records if record.name.startswith("pagemill")]
    assert {record.getMessage() for record in records} == {"POST /token 200", "GET /v1/documents 200"}
    written = "".join(JsonFormatter().format(record) for record in records)
    assert organization.client_secret not in written
    assert token not in written


async def test_token_can_be_limited_to_scopes(anonymous: httpx.AsyncClient, organization: Tenant) -> None:
    scope = "api.lucidtech.ai/assets:read api.lucidtech.ai/documents:write"
    header = basic(organization.client_id, organization.client_secret)
    token = (await anonymous.post("/token", params=GRANT | {"scope": scope}, headers=header)).json()
    assert token["scope"] == scope
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    statuses = [
        (
            await anonymous.request(method, path, json={} if method == "POST" else None, headers=headers)
        ).status_code
        for method, path in [
            ("GET", "/v1/assets"),
            ("POST", "/v1/assets"),
            ("GET", "/v1/documents"),
            ("POST", "/v1/documents"),
            ("GET", "/v1/models/x/dataBundles"),
        ]
    ]
    assert statuses == [200, 403, 403, 200, 403]


@pytest.mark.parametrize("scope", ["everything", "api.lucidtech.ai/logs:write"])
async def test_unknown_scopes_are_refused(
    anonymous: httpx.AsyncClient, organization: Tenant, scope: str
) -> None:
    header = basic(organization.client_id, organization.client_secret)
    refused = await anonymous.post("/token", params=GRANT | {"scope": scope}, headers=header)
    assert (refused.status_code, refused.json()) == (400, {"message": "invalid_scope"})


async def ask_for_token(app: Litestar, address: str, client_id: str, secret: str) -> httpx.Response:
    """Ask from an address."""
    transport = httpx.ASGITransport(app=app, client=(address, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
        return await client.post("/token", params=GRANT, headers=basic(client_id, secret))


async def test_who_asks_too_often_is_refused_before_anything_is_compared(
    app: Litestar, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The victim's own address still gets tokens while a stranger's guesses are refused."""
    client_id, secret = organization.client_id, organization.client_secret
    attacker, victim = "198.51.100.7", "203.0.113.9"
    # A slow machine would take so long over the tries that new ones are allowed meanwhile.
    app.state.pagemill.token_throttle._clients._rate = 0.001
    answers = [await ask_for_token(app, attacker, client_id, "wrong") for _ in range(220)]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {400, 429}
    assert (await ask_for_token(app, victim, client_id, secret)).status_code == 200

    def compared(*_: object) -> None:
        raise AssertionError("a secret was compared")

    monkeypatch.setattr("pagemill.api.auth.oauth._owner", compared)
    refused = await ask_for_token(app, attacker, client_id, secret)
    assert (refused.status_code, refused.json()) == (429, {"message": "Too Many Requests"})
    assert int(refused.headers["Retry-After"]) >= 1
