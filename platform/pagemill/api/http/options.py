"""``OPTIONS``: which methods a path has."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response
from litestar.routes import HTTPRoute


def allowed_methods(request: Request[Any, Any, Any]) -> Response[Any]:
    """The answer to OPTIONS; Litestar's own knows only the methods of the handler that came first."""
    methods = _methods(request.app, request.scope["path_template"])
    return Response(None, status_code=204, headers={"Allow": ", ".join(methods)})


def _methods(app: Litestar, path_template: str) -> list[str]:
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path_format == path_template:
            return sorted(route.methods)
    return ["OPTIONS"]
