"""Tests of all paths: errors as JSON, request ids, CORS, media types, and the API document."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

import asyncpg
import httpx
import pytest
from litestar import Litestar
from openapi_spec_validator import OpenAPIV31SpecValidator

from pagemill import __version__
from pagemill.api.app import create_app
from pagemill.api.auth.tokens import Caller
from pagemill.api.http import access_log
from pagemill.settings import Settings, SettingsError
from tests.integration.api.conftest import client_of
from tests.support.access_lines import access_lines
from tests.support.everything import fill, seed_everything
from tests.support.tenants import Tenant
from tests.support.tokens import former_token

MAY_BE_EMPTY = "/v1/transitions/{transitionId}/executions/{executionId}"
ORIGIN = {"Origin": "https://example.com"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/unknown", 404),
        ("GET", "/v1/batches", 404),
        ("GET", "/documents", 404),
        ("POST", "/v1/signup", 404),
        ("PUT", "/v1/documents", 405),
        ("GET", "/token", 405),
        ("DELETE", "/v1/plans", 405),
    ],
)
async def test_unknown_paths_and_methods(api: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await api.request(method, path, headers=ORIGIN)
    assert response.status_code == status
    assert isinstance(response.json()["message"], str)
    assert response.headers["x-request-id"]
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
        ("", 415),
    ],
)
async def test_bodies_have_to_be_json(api: httpx.AsyncClient, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type}
    created = await api.post("/v1/datasets", content=b'{"name": "a"}', headers=headers)
    assert created.status_code == status
    assert status == 200 or isinstance(created.json()["message"], str)
    changed = await api.patch("/v1/datasets/unknown", content=b'{"name": "a"}', headers=headers)
    assert changed.status_code == (404 if status == 200 else 415)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a": 1}'])
async def test_invalid_json_is_refused(api: httpx.AsyncClient, body: bytes) -> None:
    response = await api.post("/v1/datasets", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert isinstance(response.json()["message"], str)
    assert "Traceback" not in response.text


async def test_json_content_type_without_body_is_accepted(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    dataset_id = (await api.post("/v1/datasets", json={})).json()["datasetId"]
    assert (await api.get(f"/v1/datasets/{dataset_id}", headers=headers)).status_code == 200
    assert (await api.delete(f"/v1/datasets/{dataset_id}", headers=headers)).status_code == 200


async def test_patch_without_members_is_refused(
    app: Litestar, api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    ids = await seed_everything(pool, organization)
    patched = 0
    for path, item in app.openapi_schema.to_schema()["paths"].items():
        if "patch" not in item:
            continue
        content = item["patch"]["requestBody"]["content"]["application/json"]
        if "minProperties" not in content["schema"]:
            assert path == MAY_BE_EMPTY
            continue
        refused = await api.patch(fill(path, ids), json={})
        # Only a person has a profile to change.
        assert refused.status_code == (403 if "/profiles/" in path else 400), (path, refused.text)
        patched += 1
    assert patched > 10


async def test_trailing_slashes_and_encoded_ids(api: httpx.AsyncClient) -> None:
    document_id = (await api.post("/v1/documents/", json={})).json()["documentId"]
    for path in (document_id, f"{document_id}/", quote(document_id, safe="")):
        assert (await api.get(f"/v1/documents/{path}")).json()["documentId"] == document_id
    assert (await api.get("/v1/documents/")).status_code == 200
    for strange in ("x", "las:document:1", "a b", "ü", "%00", "..%2F..%2Fetc", "'--", "x" * 2000):
        response = await api.get(f"/v1/documents/{strange}")
        assert response.status_code in (400, 404), strange
        assert isinstance(response.json()["message"], str)


async def test_request_ids(api: httpx.AsyncClient) -> None:
    given = await api.get("/v1/documents", headers={"X-Request-Id": "abc-123"})
    assert given.headers["x-request-id"] == "abc-123"
    made = [(await api.get("/v1/documents", headers={"X-Request-Id": 'a b"}'})) for _ in range(2)]
    assert len({response.headers["x-request-id"] for response in made} | {'a b"}'}) == 3


async def test_unexpected_errors_show_only_the_request_id(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("inner secret")

    monkeypatch.setattr("pagemill.api.resources.datasets.to_dataset", broken)
    response = await api.post("/v1/datasets", json={}, headers=ORIGIN)
    assert response.status_code == 500
    assert response.json() == {
        "message": "Internal Server Error",
        "requestId": response.headers["x-request-id"],
    }
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path", ["/v1/documents", "/v1/documents/x", "/v1/files/x", "/token", "/oauth2/token", "/v1/nothing"]
)
async def test_preflight(anonymous: httpx.AsyncClient, path: str) -> None:
    asked = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    response = await anonymous.options(path, headers=ORIGIN | asked)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    allowed = response.headers["access-control-allow-headers"].lower()
    assert {"authorization", "content-type"} <= {name.strip() for name in allowed.split(",")}
    methods = response.headers["access-control-allow-methods"]
    assert {"GET", "POST", "PATCH", "DELETE", "PUT"} <= {name.strip() for name in methods.split(",")}


async def test_options_without_an_origin(anonymous: httpx.AsyncClient) -> None:
    for path in ("/v1/documents", "/v1/files/x", "/token"):
        assert (await anonymous.options(path)).status_code == 204


async def test_body_is_drained_before_a_refusal(app: Litestar) -> None:
    """A client that is still sending would be cut off and never see the answer."""
    received = 0

    async def receive() -> dict[str, object]:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": bytes(1000), "more_body": received < 5}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            assert received == 5
            assert message["status"] == 403

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/v1/files/x",
        "raw_path": b"/v1/files/x",
        "query_string": b"",
        "headers": [(b"content-length", b"5000")],
        "http_version": "1.1",
        "scheme": "https",
        "server": ("localhost", 443),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    await app(scope, receive, send)  # type: ignore[arg-type]
    assert received == 5


async def test_openapi_document_and_its_page(anonymous: httpx.AsyncClient) -> None:
    document = (await anonymous.get("/schema/openapi.json")).json()
    paths = document["paths"]
    assert {"/token", "/v1/documents", "/v1/documents/{documentId}", "/v1/predictions"} <= set(paths)
    posted = document["components"]["schemas"]["PostDocument"]
    assert "retentionInDays" in posted["properties"]
    OpenAPIV31SpecValidator(document).validate()
    page = await anonymous.get("/schema")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "/v1/documents/{documentId}" in page.text
    assert 'id="PostDocument"' in page.text
    # It must work where nothing else can be reached.
    assert "<script" not in page.text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)


async def test_start_without_postgres(settings: Settings, organization: Tenant) -> None:
    import msgspec

    unreachable = msgspec.structs.replace(settings, database_url="postgresql://nobody@127.0.0.1:1/none")
    app = create_app(unreachable)
    # One whose signature needs no key of the database.
    token = former_token(Caller(organization.organization_id, organization.app_client_id), unreachable)
    without_database = client_of(app, unreachable, organization, token=token)
    async with asyncio.timeout(60), app.lifespan(), without_database as client:
        response = await client.get("/v1/documents")
        assert (response.status_code, response.json()) == (
            503,
            {"message": "The database is not available"},
        )
        assert int(response.headers["retry-after"]) > 0
        health = await client.get("/health")
        assert (health.status_code, health.json()) == (200, {"status": "ok", "version": __version__})


async def test_requests_succeed_after_postgres_ended_connections(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    for _ in range(10):
        assert (await api.get("/v1/documents")).status_code == 200
        await pool.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'pagemill-api'
                AND query NOT LIKE 'LISTEN%'
            """
        )
        async with asyncio.timeout(60):
            while (status := (await api.get("/v1/documents")).status_code) != 200:
                assert status == 503


async def test_refused_requests_release_their_connection(api: httpx.AsyncClient, settings: Settings) -> None:
    async with asyncio.timeout(60):
        for _ in range(settings.database_pool_size * 3):
            assert (await api.get("/v1/documents", params={"maxResults": "0"})).status_code == 400
            assert (await api.post("/v1/datasets", json={"name": 1})).status_code == 400
        assert (await api.get("/v1/documents")).status_code == 200


def test_short_token_key_is_refused(tmp_path: object) -> None:
    with pytest.raises(SettingsError):
        create_app(
            Settings(database_url="postgresql://unused", objects_url="file:///unused", token_key="short")
        )


async def test_options_lists_all_methods_of_a_path(app: Litestar, anonymous: httpx.AsyncClient) -> None:
    for path, item in app.openapi_schema.to_schema()["paths"].items():
        asked = await anonymous.options(re.sub(r"\{\w+\}", "x", path))
        allowed = set(asked.headers["allow"].split(", "))
        assert allowed - {"HEAD"} == {method.upper() for method in item} | {"OPTIONS"}, path


async def test_null_in_queries_is_refused(api: httpx.AsyncClient) -> None:
    refused = await api.get("/v1/documents", params={"order": "null"})
    assert (refused.status_code, refused.json()) == (400, {"message": "order: must not be null"})


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("documents", "datasetId", "foo"),
        ("documents", "consentId", ""),
        ("documents", "documentId", f"las:document:{'0' * 32}\n"),
        ("documents", "order", "up"),
        ("documents", "maxResults", "0"),
        ("predictions", "modelId", "foo"),
        ("predictions", "sortBy", "modelId"),
        ("logs", "workflowId", "foo"),
        ("transitions", "transitionType", "foo"),
    ],
)
async def test_wrong_query_parameter_is_named(
    api: httpx.AsyncClient, path: str, name: str, value: str
) -> None:
    refused = await api.get(f"/v1/{path}", params={name: value})
    assert refused.status_code == 400
    assert name in refused.json()["message"]


async def test_trailing_slash_is_ignored(
    app: Litestar, api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    ids = {**await seed_everything(pool, organization), "roleId": "las:role:admin"}
    for path, item in app.openapi_schema.to_schema()["paths"].items():
        if "get" in item and path.startswith("/v1/") and "/files/" not in path:
            plain = fill(path, ids)
            headers = {"X-Request-Id": "same"}
            with_slash, without = [await api.get(one, headers=headers) for one in (f"{plain}/", plain)]
            assert (with_slash.status_code, with_slash.content) == (without.status_code, without.content)
            # The seeded asset has no object, only persons have profiles, and no roles are seeded.
            excepted = any(f"/{one}/" in path for one in ("assets", "profiles", "roles"))
            assert without.status_code == 200 or excepted, (path, without.text)


async def test_buffered_access_lines_are_written_at_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "GATHER_SECONDS", 3600.0)
    app = create_app(settings)
    with access_lines() as lines:
        async with app.lifespan():
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
                await client.get("/v1/nothing")
            assert lines == []
        assert [line.getMessage() for line in lines] == ["GET /v1/nothing 404"]
