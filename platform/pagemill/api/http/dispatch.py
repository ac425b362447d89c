"""What happens to a request between its route and its handler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from litestar import Litestar
from litestar.middleware import AbstractMiddleware
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send


def check_hook(app: Litestar, hook: Callable[..., Any]) -> None:
    """Raises RuntimeError for a controller with a ``before_request`` of its own, which replaces ``hook``.

    The hook decides who may call. As a guard it would be copied with its handler for each request.
    """
    for route in _routes(app):
        for handler in route.route_handlers:
            if handler.resolve_before_request() is not hook:
                raise RuntimeError(f"{handler} is reached without {hook.__name__}")


def resolve_in_turn(app: Litestar) -> None:
    """Have the dependencies of a handler resolved one after the other, the connection last.

    Litestar starts a task for each that needs no other one. Ours take no time but for the connection, and a
    request that another one refuses has no need of that.
    """
    for route in _routes(app):
        for _, parameters in route.route_handler_map.values():
            parameters.dependency_batches = [
                {dependency}
                for batch in parameters.dependency_batches
                for dependency in sorted(batch, key=lambda one: one.key == "connection")
            ]


def skip_cors_without_origin(app: Litestar) -> None:
    """Only browsers name an origin: other requests go past Litestar's CORS, which reads all their headers."""
    cors = app.asgi_handler
    if not isinstance(cors, AbstractMiddleware):
        raise RuntimeError("CORS is not the outermost middleware")

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        from_browser = any(name == b"origin" for name, _ in scope.get("headers", ()))
        await (cors if from_browser else cors.app)(scope, receive, send)

    app.asgi_handler = middleware


def _routes(app: Litestar) -> Iterator[HTTPRoute]:
    return (route for route in app.routes if isinstance(route, HTTPRoute))
