"""Tests of the changes to how Litestar runs the application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from litestar import Controller, Litestar, Request, get
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.testing import TestClient

from pagemill.api.http.litestar_tuning import (
    check_before_request,
    resolve_dependencies_in_order,
    skip_cors_without_origin,
)


async def hook(_request: Request[Any, Any, Any]) -> None:
    """Decides who may call."""


async def other_hook(_request: Request[Any, Any, Any]) -> None:
    """Decides nothing."""


@get("/open", before_request=other_hook)
async def with_own_hook() -> None:
    """Answers nothing."""


class OwnHook(Controller):
    path = "/controller"
    before_request = other_hook

    @get()
    async def handler(self) -> None:
        """Answers nothing."""


@get("/")
async def plain() -> None:
    """Answers nothing."""


@pytest.mark.parametrize("handler", [with_own_hook, OwnHook])
def test_replaced_hook_is_found(handler: Any) -> None:
    check_before_request(Litestar([plain], before_request=hook), hook)
    with pytest.raises(RuntimeError, match="without hook"):
        check_before_request(Litestar([plain, handler], before_request=hook), hook)
    with pytest.raises(RuntimeError, match="without hook"):
        check_before_request(Litestar([plain]), hook)


def test_dependencies_are_resolved_in_one_task_and_the_connection_last() -> None:
    resolved: list[tuple[str, Any]] = []

    def provider(name: str) -> Provide:
        async def provide() -> str:
            resolved.append((name, asyncio.current_task()))
            return name

        return Provide(provide)

    @get("/all")
    async def all_of_them(caller: str, connection: str, page: str) -> list[str]:
        resolved.append(("handler", asyncio.current_task()))
        return [caller, connection, page]

    names = ("connection", "caller", "page")
    app = Litestar([all_of_them], dependencies={name: provider(name) for name in names}, openapi_config=None)
    resolve_dependencies_in_order(app)
    with TestClient(app) as client:
        assert client.get("/all").json() == ["caller", "connection", "page"]
    assert [name for name, _ in resolved][2:] == ["connection", "handler"]
    assert len({task for _, task in resolved}) == 1


def test_only_requests_with_an_origin_pass_through_cors() -> None:
    app = Litestar([plain], cors_config=CORSConfig(allow_origins=["*"]), openapi_config=None)
    skip_cors_without_origin(app)
    with TestClient(app) as client:
        assert "access-control-allow-origin" not in client.get("/").headers
        answer = client.get("/", headers={"Origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "PATCH"}
        assert client.options("/unknown", headers=preflight).status_code == 204
    with pytest.raises(RuntimeError, match="outermost"):
        skip_cors_without_origin(Litestar([plain], openapi_config=None))
