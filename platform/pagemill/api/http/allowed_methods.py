"""Answers to ``OPTIONS``: the methods of a path."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Response
from litestar.routes import HTTPRoute

from pagemill.api.http.requests import ApiRequest


def answer_options(request: ApiRequest) -> Response[Any]:
    """Return the answer to OPTIONS. Litestar's own names only the methods of the first handler of a path."""
    methods = _allowed_methods(request.app, request.scope["path_template"])
    return Response(None, status_code=204, headers={"Allow": ", ".join(methods)})


def _allowed_methods(app: Litestar, path_template: str) -> list[str]:
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path_format == path_template:
            return sorted(route.methods)
    return ["OPTIONS"]
