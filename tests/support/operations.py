"""The operations of the API, from its own routes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute


def camel(name: str) -> str:
    """A name as the API spells it."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def api_path(template: str) -> str:
    """``/models/{modelId}`` for a route's ``/v1/models/{model_id}``."""
    return re.sub(r"\{(\w+)\}", lambda match: f"{{{camel(match[1])}}}", template).removeprefix("/v1")


def protected_handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Method, path template and handler of every operation that needs a token, ordered by path."""
    for route in sorted(app.routes, key=lambda route: route.path):
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1/"):
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                    if not handler.opt.get("public"):
                        yield method, route.path_format, handler


def operations(app: Litestar) -> list[str]:
    """``GET /models/{modelId}`` and so on."""
    return [f"{method} {api_path(template)}" for method, template, _ in protected_handlers(app)]
