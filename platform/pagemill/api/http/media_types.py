"""Bodies are JSON, but for files and token requests."""

from __future__ import annotations

from typing import Any

from litestar import Request

from pagemill.errors import UnsupportedMediaType


def require_json(request: Request[Any, Any, Any]) -> None:
    """Raises UnsupportedMediaType for a POST or PATCH that does not say that its body is JSON."""
    if request.method not in ("POST", "PATCH") or request.route_handler.opt.get("public"):
        return
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Content-Type must be application/json")
