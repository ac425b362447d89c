"""One id for each request, in the answer's ``X-Request-Id`` and in every log line about it."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("pagemill.access")

HEADER = "X-Request-Id"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The id of a request."""
    return str(connection.scope.get("state", {}).get("request_id", ""))


def correlation_middleware(app: ASGIApp) -> ASGIApp:
    """Takes the caller's request id when it is a plain one, else makes one; logs a line per request."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        headers = MutableScopeHeaders(scope)
        sent = headers.get(HEADER, "")
        request_id = sent if _ACCEPTED.fullmatch(sent) else uuid.uuid4().hex
        scope["state"]["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableScopeHeaders(message)[HEADER] = request_id
            await send(message)

        try:
            await app(scope, receive, send_with_id)
        finally:
            # The query can hold client ids and secrets: it is not logged.
            logger.info(
                "%s %s %d",
                scope["method"],
                scope["path"],
                status,
                extra={
                    "request_id": request_id,
                    "status": status,
                    "milliseconds": round((time.perf_counter() - started) * 1000, 1),
                },
            )

    return middleware
