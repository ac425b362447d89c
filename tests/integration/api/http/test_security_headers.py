"""Headers for browsers, and the lines that say who has asked from where."""

from __future__ import annotations

import re

import httpx
import msgspec
import pytest
from litestar import Litestar

from pagemill.api.app import create_app
from pagemill.api.http.access_log import access_log
from pagemill.api.http.security_headers import SecurityHeaders
from pagemill.logging_setup import JsonFormatter
from pagemill.settings import Settings
from tests.support.access_lines import access_lines
from tests.support.tenants import Tenant
from tests.support.tokens import token_of

SECRETS = ("/v1/appClients", "/v1/secrets", "/v1/webhooks", "/v1/organizations/me", "/v1/users")


@pytest.mark.parametrize("path", [*SECRETS, "/v1/nothing", "/v1/documents/x", "/health", "/schema", "/token"])
async def test_every_answer_is_safe_in_a_browser(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path)
    headers = answer.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")


async def test_new_secrets_and_tokens_are_not_kept(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, organization: Tenant
) -> None:
    made = await api.post("/v1/appClients", json={})
    credentials = {"client_id": organization.client_id, "client_secret": organization.client_secret}
    token = await anonymous.post("/token", data={"grant_type": "client_credentials", **credentials})
    for answer in (made, token):
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"


def test_what_a_handler_says_is_obeyed() -> None:
    said = [(b"cache-control", b"private, no-cache"), (b"content-type", b"image/jpeg")]
    added = SecurityHeaders(encrypted=False).add_to(said)
    assert [value for name, value in added if name == b"cache-control"] == [b"private, no-cache"]
    assert not any(name == b"strict-transport-security" for name, _ in added)
    assert any(name == b"content-security-policy" for name, _ in added)


async def test_the_page_of_the_document_loads_nothing(api: httpx.AsyncClient) -> None:
    page = await api.get("/schema")
    assert page.status_code == 200
    assert re.findall(r"<(?:script|link|img|iframe|object|embed)\b|@import|url\(|\ssrc=", page.text) == []
    policy = page.headers["Content-Security-Policy"]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; base-uri 'none'; form-action 'none'; "
        r"frame-ancestors 'none'",
        policy,
    )
    assert (await api.get("/schema/swagger")).status_code == 404


async def test_lines_say_who_and_from_where(app: Litestar, settings: Settings, organization: Tenant) -> None:
    trusting = create_app(msgspec.structs.replace(settings, trusted_proxies="192.0.2.0/24"))
    trusting.state.pagemill = app.state.pagemill
    token = await token_of(app, organization.organization_id, organization.app_client_id)
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "203.0.113.9"}
    with access_lines() as lines:
        for application, address in ((trusting, "192.0.2.1"), (trusting, "198.51.100.7"), (app, "192.0.2.1")):
            transport = httpx.ASGITransport(app=application, client=(address, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
                await client.get("/v1/datasets?secret=1", headers=headers)
        await client_without_token(app)
        access_log.write()
        written = [msgspec.json.decode(JsonFormatter().format(line)) for line in lines]
    assert [line["address"] for line in written] == [
        "203.0.113.9",
        "198.51.100.7",
        "192.0.2.1",
        "127.0.0.1",
    ]
    assert {line.get("principal") for line in written[:3]} == {organization.app_client_id}
    assert {line.get("organization") for line in written[:3]} == {organization.organization_id}
    assert "principal" not in written[3]
    assert all("secret" not in str(line) and token not in str(line) for line in written)


async def client_without_token(app: Litestar) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
        await client.get("/v1/datasets")
