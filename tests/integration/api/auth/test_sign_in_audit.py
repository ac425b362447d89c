"""Sign-ins to apps, and credentials that are misused, are in the audit of the organization."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
from litestar import Litestar

from pagemill.api.http.app_state import AppState
from tests.support.front_door import (
    add_public_app,
    browser_session,
    code_for,
    exchange_of,
    new_pkce,
    refresh_of,
    sign_in,
)
from tests.support.people import add_user
from tests.support.tenants import Tenant


async def events(api: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get("/v1/auditEvents", params=query)).json()["auditEvents"]
    return found


async def test_a_sign_in_to_an_app_and_a_stolen_token(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        app = await add_public_app(connection, organization.organization_id)
        ada = await add_user(connection, organization.organization_id)
        cookie = await browser_session(connection, ada.profile_id)
    tokens = await sign_in(anonymous, app, cookie)
    (signed_in,) = await events(api, principalId=ada.user_id)
    assert (signed_in["action"], signed_in["outcome"]) == ("createToken", "succeeded")
    assert (signed_in["profileId"], signed_in["resourceId"]) == (ada.profile_id, app.app_client_id)
    assert (signed_in["address"], signed_in["details"]) == ("127.0.0.1", {})

    first = tokens["refresh_token"]
    second = (await anonymous.post("/oauth2/token", params=refresh_of(app, first))).json()["refresh_token"]
    await anonymous.post("/oauth2/token", params=refresh_of(app, second))
    assert (await anonymous.post("/oauth2/token", params=refresh_of(app, first))).status_code == 400
    (ended,) = await events(api, action="endGrant")
    assert (ended["outcome"], ended["principalId"]) == ("refused", ada.user_id)
    assert set(ended["details"]) == {"reason"}
    stored = "".join(row[0] for row in await pool.fetch("SELECT audit_event::text FROM audit_event"))
    assert not [token for token in (first, second, tokens["access_token"]) if token in stored]


async def test_a_code_that_is_used_twice(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        app = await add_public_app(connection, organization.organization_id)
        ada = await add_user(connection, organization.organization_id)
        cookie = await browser_session(connection, ada.profile_id)
    pkce = new_pkce()
    code = await code_for(anonymous, app, pkce, cookie)
    for status in (200, 400):
        response = await anonymous.post("/oauth2/token", params=exchange_of(app, pkce, code))
        assert response.status_code == status
    assert [event["action"] for event in await events(api, principalId=ada.user_id)] == [
        "createToken",
        "endGrant",
    ]


async def test_wrong_secrets_are_counted(
    app: Litestar,
    api: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
) -> None:
    for client_id in (organization.client_id, "nobody"):
        for _ in range(3):
            response = await anonymous.post(
                "/oauth2/token",
                params={"grant_type": "client_credentials"},
                auth=(client_id, "wrong"),
            )
            assert response.status_code == 400
    state: AppState = app.state.pagemill
    await state.refusals.write()
    (refused,) = await events(api)
    assert (refused["action"], refused["outcome"]) == ("createToken", "refused")
    assert refused["principalId"] == organization.app_client_id
    assert refused["details"] == {"numberOfRequests": 3}
    assert await pool.fetchval("SELECT count(*) FROM audit_event") == 1
