"""Tests of the guard: anonymous callers are refused, foreign resources look unknown."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from tests.support.queries import statements_run
from tests.support.tenants import Tenant
from tests.support.tokens import token_of

PUBLIC = {
    "/health",
    "/token",
    "/oauth2/token",
    "/oauth2/authorize",
    "/oauth2/jwks",
    "/logout",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
}
UNKNOWN = {
    "assets": f"las:asset:{'0' * 32}",
    "datasets": f"las:dataset:{'0' * 32}",
    "documents": f"las:document:{'0' * 32}",
    "paymentMethods": f"las:payment-method:{'0' * 32}",
    "secrets": f"las:secret:{'0' * 32}",
    "transitions": f"las:transition:{'0' * 32}",
    "webhooks": f"las:webhook:{'0' * 32}",
    "workflows": f"las:workflow:{'0' * 32}",
}
REQUIRED: dict[str, dict[str, object]] = {
    "assets": {"content": "e30="},
    "secrets": {"data": {}},
    "transitions": {"transitionType": "manual"},
    "webhooks": {"url": "https://example.com/hook", "eventTypes": ["prediction.succeeded"]},
    "workflows": {"specification": {"definition": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}}},
}
"""What a new one cannot be without."""
SHOWN_ONCE = {"stripeSetupIntentSecret"}
WITHOUT_GET = {"secrets"}


async def test_every_endpoint_refuses_anonymous_callers(app: Litestar, anonymous: httpx.AsyncClient) -> None:
    asked = 0
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or route.path in PUBLIC:
            continue
        if route.path.startswith(("/schema", "/sign-in")):
            continue
        for method in route.methods - {"OPTIONS", "HEAD"}:
            path = route.path_format.replace("{", "").replace("}", "")
            response = await anonymous.request(method, path, json={"unknown": 1})
            assert (response.status_code, response.json()) == (403, {"message": "Forbidden"}), (method, path)
            asked += 1
    assert asked >= 30


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer x.y.z", "Basic dXNlcjpwYXNz", "bearer\tx"]
)
async def test_bad_tokens_are_forbidden(anonymous: httpx.AsyncClient, authorization: str) -> None:
    response = await anonymous.get("/v1/documents", headers={"Authorization": authorization})
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


async def test_concurrent_requests_of_one_caller_share_look_ups(
    api: httpx.AsyncClient,
) -> None:
    with statements_run() as names:
        responses = await asyncio.gather(*(api.get("/v1/organizations/me") for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert 1 <= names.count("principals.find_principal") < 10


async def test_token_of_a_deleted_app_client_is_forbidden(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    assert (await api.get("/v1/documents")).status_code == 200
    await pool.execute("DELETE FROM app_client WHERE id = $1", organization.app_client_id)
    response = await api.get("/v1/documents")
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


async def test_token_of_another_organizations_app_client_is_forbidden(
    app: Litestar, anonymous: httpx.AsyncClient, organization: Tenant, other_organization: Tenant
) -> None:
    mixed = await token_of(app, other_organization.organization_id, organization.app_client_id)
    headers = {"Authorization": f"Bearer {mixed}"}
    assert (await anonymous.get("/v1/documents", headers=headers)).status_code == 403


@pytest.mark.parametrize("kind", sorted(UNKNOWN))
async def test_foreign_ids_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, kind: str
) -> None:
    created = (await other_api.post(f"/v1/{kind}", json={"name": "theirs"} | REQUIRED.get(kind, {}))).json()
    foreign = created[f"{kind[:-1]}Id"]
    for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", None)):
        answers = [
            await api.request(method, f"/v1/{kind}/{identifier}", json=body)
            for identifier in (foreign, UNKNOWN[kind])
        ]
        if method == "GET" and kind in WITHOUT_GET:
            assert [answer.status_code for answer in answers] == [405, 405]
            continue
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content.replace(foreign.encode(), UNKNOWN[kind].encode()) == answers[1].content
        assert foreign in answers[0].json()["message"]
    (kept,) = (await other_api.get(f"/v1/{kind}")).json()[kind]
    created.pop("secret", None)
    assert kept == created | {name: None for name in SHOWN_ONCE & set(created)}
    assert (await api.get(f"/v1/{kind}")).json()[kind] == []


async def test_foreign_organization_is_answered_like_an_unknown_one(
    api: httpx.AsyncClient, other_organization: Tenant
) -> None:
    unknown = "las:organization:unknown"
    for method, body in (("GET", None), ("PATCH", {"name": "mine"})):
        answers = [
            await api.request(method, f"/v1/organizations/{identifier}", json=body)
            for identifier in (other_organization.organization_id, unknown)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        shown = answers[0].content.replace(other_organization.organization_id.encode(), unknown.encode())
        assert shown == answers[1].content


async def test_foreign_files_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    foreign = (await other_api.post("/v1/documents", json={})).json()["documentId"]
    for method in ("GET", "PUT"):
        answers = [
            await api.request(method, f"/v1/files/{identifier}", content=b"%PDF-1.7")
            for identifier in (foreign, UNKNOWN["documents"])
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert (
            answers[0].content.replace(foreign.encode(), UNKNOWN["documents"].encode()) == answers[1].content
        )
    assert (await other_api.get(f"/v1/documents/{foreign}")).json()["contentType"] is None
