"""Changes to how Litestar runs an application: what it leaves open, and what it does too slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.middleware import AbstractMiddleware
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send

from pagemill.api.http.route_options import CONNECTION


def check_before_request(app: Litestar, hook: Callable[..., Any]) -> None:
    """Check that every handler is preceded by ``hook``, which decides who may call. Raises RuntimeError.

    A controller with a ``before_request`` of its own replaces it. A guard cannot be used instead: Litestar
    copies guards with their handler for each request.
    """
    for route in _routes(app):
        for handler in route.route_handlers:
            if handler.resolve_before_request() is not hook:
                raise RuntimeError(f"{handler} is reached without {hook.__name__}")


def resolve_dependencies_in_order(app: Litestar) -> None:
    """Make Litestar resolve the dependencies of a handler one after the other, the connection last.

    Litestar starts a task for each dependency that needs no other one. Ours take no time except for the
    connection, and a request that another dependency refuses does not need that.
    """
    for route in _routes(app):
        for _, parameters in route.route_handler_map.values():
            parameters.dependency_batches = [
                {dependency}
                for batch in parameters.dependency_batches
                for dependency in sorted(batch, key=lambda one: one.key == CONNECTION)
            ]


def pass_request_unparsed(app: Litestar) -> None:
    """Make Litestar hand the request to dependencies that take nothing else as it is.

    For each of them it copies the parameters of the handler and converts them, which takes longer than ours.
    """
    for route in _routes(app):
        for _, parameters in route.route_handler_map.values():
            for dependency in {one for batch in parameters.dependency_batches for one in batch}:
                model = dependency.provide.signature_model
                if set(model._fields) == {"request"}:
                    model.parse_values_from_connection_kwargs = _only_the_request  # type: ignore[method-assign]


def _only_the_request(connection: ASGIConnection[Any, Any, Any, Any], kwargs: object) -> dict[str, Any]:
    return {"request": connection}


def skip_cors_without_origin(app: Litestar) -> None:
    """Make requests without an ``Origin``, which only browsers send, bypass Litestar's slow CORS."""
    cors = app.asgi_handler
    if not isinstance(cors, AbstractMiddleware):
        raise RuntimeError("CORS is not the outermost middleware")

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        from_browser = any(name == b"origin" for name, _ in scope.get("headers", ()))
        await (cors if from_browser else cors.app)(scope, receive, send)

    app.asgi_handler = middleware


def _routes(app: Litestar) -> Iterator[HTTPRoute]:
    return (route for route in app.routes if isinstance(route, HTTPRoute))
