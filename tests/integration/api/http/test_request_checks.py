"""What every route refuses before its handler runs, generated from the route table."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from pagemill.api.http.request_bodies import (
    BODY_BYTES,
    CONTENT_BODY_BYTES,
    LABELS_BODY_BYTES,
    MOST_VALUES,
)
from pagemill.api.http.request_checks import LONGEST_PATH, LONGEST_QUERY
from pagemill.storable_text import RULE

JSON = {"Content-Type": "application/json"}
LARGER_BODIES = {
    ("POST", "/v1/documents"): CONTENT_BODY_BYTES,
    ("PATCH", "/v1/documents/{document_id}"): LABELS_BODY_BYTES,
    ("POST", "/v1/assets"): CONTENT_BODY_BYTES,
    ("PATCH", "/v1/assets/{asset_id}"): CONTENT_BODY_BYTES,
    ("POST", "/v1/models"): LABELS_BODY_BYTES,
    ("PATCH", "/v1/models/{model_id}"): LABELS_BODY_BYTES,
    ("PATCH", "/v1/models/{owner}/{model_id}"): LABELS_BODY_BYTES,
    ("POST", "/token"): 8192,
    ("POST", "/oauth2/token"): 8192,
}
FILES = ("PUT", "/v1/files/{document_id}")
"""Its bytes are counted while they are stored."""


def operations(routes: Litestar) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Method, path and handler of each route of the API, with its parameters as they are."""
    return [
        (method, re.sub(r":\w+", "", route.path_format), handler)
        for route in routes.routes
        if isinstance(route, HTTPRoute) and (route.path_format.startswith("/v1") or "token" in route.path)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    ]


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "las:x:1", path)


def test_every_route_with_a_body_has_a_bound(routes: Litestar) -> None:
    bounds = {
        (method, path): handler.resolve_request_max_body_size()
        for method, path, handler in operations(routes)
        if method in ("POST", "PATCH", "PUT")
    }
    assert bounds.pop(FILES) is None
    usual = {operation for operation in bounds if operation not in LARGER_BODIES}
    assert {operation: bounds[operation] for operation in LARGER_BODIES} == LARGER_BODIES
    assert len(usual) > 30
    assert {bounds[operation] for operation in usual} == {BODY_BYTES}


async def test_a_larger_body_is_refused_before_it_is_read(api: httpx.AsyncClient) -> None:
    body = b'{"name": "' + b"x" * BODY_BYTES + b'"}'
    refused = await api.post("/v1/datasets", content=body, headers=JSON)
    assert (refused.status_code, refused.json()) == (413, {"message": "Request Entity Too Large"})

    async def pieces() -> Any:
        for _ in range(20):
            yield b" " * (BODY_BYTES // 10)

    assert (await api.post("/v1/datasets", content=pieces(), headers=JSON)).status_code == 413


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"metadata": {"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}", "body: is nested too deeply"),
        (b'{"metadata": {"a": ' + b"[" * 90_000, "body: is nested too deeply"),
        (
            b'{"metadata": {"a": [' + b"1," * (MOST_VALUES + 1) + b"1]}}",
            f"body: has more than {MOST_VALUES} members and items",
        ),
        (
            b'{"metadata": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}",
            "body: is nested too deeply",
        ),
        (b'{"name": ' + b"1" * 400_000 + b"}", "name: "),
    ],
)
async def test_deep_and_wide_bodies_are_refused_early(
    api: httpx.AsyncClient, body: bytes, message: str
) -> None:
    began = time.thread_time()
    refused = await api.post("/v1/datasets", content=body, headers=JSON)
    assert time.thread_time() - began < 2
    assert refused.status_code == 400
    assert refused.json()["message"].startswith(message)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "identity, gzip"])
async def test_encoded_bodies_are_refused(api: httpx.AsyncClient, encoding: str) -> None:
    headers = {"Content-Encoding": encoding, **JSON}
    for method, path in (("POST", "/v1/datasets"), ("PUT", "/v1/files/x"), ("POST", "/token")):
        refused = await api.request(method, path, content=b"{}", headers=headers)
        assert refused.status_code == 415, (method, path)
        assert refused.json()["message"].startswith("Content-Encoding: ")
    plain = await api.post("/v1/datasets", content=b"{}", headers={"Content-Encoding": "identity", **JSON})
    assert plain.status_code == 200


async def test_long_paths_and_queries_are_refused(api: httpx.AsyncClient) -> None:
    path = await api.get("/v1/documents/" + "x" * LONGEST_PATH)
    assert (path.status_code, path.json()["message"].partition(":")[0]) == (400, "path")
    query = await api.get("/v1/documents?" + "a=b&" * (LONGEST_QUERY // 4) + "c")
    assert (query.status_code, query.json()["message"].partition(":")[0]) == (400, "query")


Attack = Callable[[httpx.AsyncClient, str, str, HTTPRouteHandler], Any]


async def in_query(api: httpx.AsyncClient, method: str, path: str, handler: HTTPRouteHandler) -> Any:
    body = {"content": b"{}", "headers": JSON} if method in ("POST", "PATCH") else {}
    for query in ("a=%00", "%00=a", "a=x%ED%A0%80", "nextToken=%FF"):
        yield "query", await api.request(method, f"{filled(path)}?{query}", **body)


async def in_path(api: httpx.AsyncClient, method: str, path: str, handler: HTTPRouteHandler) -> Any:
    body = {"content": b"{}", "headers": JSON} if method in ("POST", "PATCH") else {}
    if "{" in path:
        yield "path", await api.request(method, re.sub(r"\{\w+\}", "a%00b", path), **body)


async def in_body(api: httpx.AsyncClient, method: str, path: str, handler: HTTPRouteHandler) -> Any:
    if method not in ("POST", "PATCH") or "token" in path or handler.parsed_data_field is None:
        return
    for text in (b'"\\u0000"', b'{"a": ["\\\\\\u0000"]}', b'{"\\u0000": 1}'):
        yield (
            "body",
            await api.request(method, filled(path), content=b'{"name": ' + text + b"}", headers=JSON),
        )
    for text in (b'"\\ud800"', b'"\\udc00\\ud800 "', b'"\xed\xa0\x80"', b'"\xff"'):
        body = b'{"name": ' + text + b"}"
        yield None, await api.request(method, filled(path), content=body, headers=JSON)


async def in_form(api: httpx.AsyncClient, method: str, path: str, handler: HTTPRouteHandler) -> Any:
    if "token" not in path:
        return
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for text in (b"%00", b"%ED%A0%80", b"\xff"):
        body = b"grant_type=client_credentials&client_id=" + text
        yield "form", await api.request(method, path, content=body, headers=form)
    for name in (b"a\0:b", b"a%00:b"):
        headers = {"Authorization": httpx.BasicAuth(name.split(b":")[0], b"b")._auth_header}
        url = f"{path}?grant_type=client_credentials"
        yield "Authorization", await api.request(method, url, headers=headers)


@pytest.mark.parametrize("attack", [in_query, in_path, in_body, in_form])
async def test_text_that_cannot_be_stored_is_refused_everywhere(
    routes: Litestar, api: httpx.AsyncClient, attack: Attack
) -> None:
    judged = 0
    for method, path, handler in operations(routes):
        async for place, refused in attack(api, method, path, handler):
            # A member that a schema does not know may be skipped unread.
            expected = (400,) if place is not None else (400, 404)
            assert refused.status_code in expected, (method, path, refused.text)
            if place is not None:
                assert refused.json() == {"message": f"{place}: {RULE}"}, (method, path)
            judged += 1
    assert judged > 5


async def test_ordinary_text_is_stored(api: httpx.AsyncClient) -> None:
    name = "\\u0000 ä \U0001f600 \x01 \ufffe \uffff"
    created = await api.post("/v1/datasets", content=msgspec.json.encode({"name": name}), headers=JSON)
    assert created.json()["name"] == name
