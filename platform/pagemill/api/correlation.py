"""One id for each request, in the answer's ``X-Request-Id`` and in every log line about it."""

from __future__ import annotations

import logging
import os
import re
import time
from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

logger = logging.getLogger("pagemill.access")

HEADER = "X-Request-Id"
_RAW_HEADER = HEADER.lower().encode()
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
        request_id = _sent_id(scope) or os.urandom(16).hex()
        scope["state"]["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_RAW_HEADER, request_id.encode())]
            await send(message)

        try:
            await app(scope, receive, send_with_id)
        finally:
            _log(scope, request_id, status, time.perf_counter() - started)

    return middleware


def _sent_id(scope: Scope) -> str | None:
    """The caller's own id for the request, if it is a plain one."""
    for name, value in scope["headers"]:
        if name == _RAW_HEADER:
            sent = value.decode("latin-1")
            return sent if _ACCEPTED.fullmatch(sent) else None
    return None


def _log(scope: HTTPScope, request_id: str, status: int, seconds: float) -> None:
    """The access line. Made without looking up who logs: each request has one."""
    if not logger.isEnabledFor(logging.INFO):
        return
    # The query can hold client ids and secrets: it is not logged.
    arguments = (scope["method"], scope["path"], status)
    record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, "%s %s %d", arguments, None)
    record.request_id, record.status, record.milliseconds = request_id, status, round(seconds * 1000, 1)
    logger.handle(record)
