"""Give every request an id, in the answer's ``X-Request-Id`` and in its log lines, and safe headers."""

from __future__ import annotations

import random
import re
import time
from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from pagemill.api.http.access_log import access_log
from pagemill.api.http.client_address import NOBODY, TrustedProxies, client_address
from pagemill.api.http.connection_bounds import arrivals
from pagemill.api.http.security_headers import SecurityHeaders
from pagemill.api.metrics.request_metrics import RequestMetrics

HEADER = "X-Request-Id"
_RAW_HEADER = HEADER.lower().encode()
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return the id of a request."""
    return str(connection.scope.get("state", {}).get("request_id", ""))


def request_id_middleware(
    app: ASGIApp,
    metrics: RequestMetrics | None = None,
    *,
    headers: SecurityHeaders,
    trusted_proxies: TrustedProxies = NOBODY,
) -> ASGIApp:
    """Give each request the id that its caller sends, or a new one; log and count its answer."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request_id = _sent_id(scope) or f"{random.getrandbits(128):032x}"
        scope["state"]["request_id"] = request_id
        if metrics is not None:
            metrics.begun()
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = headers.add_to([*message["headers"], (_RAW_HEADER, request_id.encode())])
            await send(message)

        try:
            await app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            arrivals.answered(scope.get("client"), started + seconds)
            access_log.add(scope, request_id, status, seconds, client_address(scope, trusted_proxies))
            if metrics is not None:
                metrics.answered(scope, status, seconds)

    return middleware


def _sent_id(scope: Scope) -> str | None:
    """Return the caller's id for the request if it has 1 to 64 harmless characters."""
    for name, value in scope["headers"]:
        if name == _RAW_HEADER:
            sent = value.decode("latin-1")
            return sent if _ACCEPTED.fullmatch(sent) else None
    return None
