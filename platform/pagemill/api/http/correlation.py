"""One id for each request, in the answer's ``X-Request-Id`` and in every log line about it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from typing import Any, NamedTuple

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

logger = logging.getLogger("pagemill.access")

HEADER = "X-Request-Id"
_RAW_HEADER = HEADER.lower().encode()
GATHER_SECONDS = 0.05
"""Access lines that are written together take a third of the time that each takes by itself."""
GATHERED_LINES = 1000

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The id of a request."""
    return str(connection.scope.get("state", {}).get("request_id", ""))


class _Answered(NamedTuple):
    at: float
    request_id: str
    method: str
    path: str
    status: int
    seconds: float


class AccessLog:
    """A line for each request, soon after its answer and at the latest when the application ends."""

    def __init__(self) -> None:
        self._answered: list[_Answered] = []
        self._written_by: asyncio.AbstractEventLoop | None = None
        # A child would write them a second time.
        os.register_at_fork(after_in_child=self._answered.clear)

    def add(self, scope: HTTPScope, request_id: str, status: int, seconds: float) -> None:
        """Have a line written. Called in an event loop."""
        if not logger.isEnabledFor(logging.INFO):
            return
        # The query can hold client ids and secrets: it is not logged.
        self._answered.append(
            _Answered(time.time(), request_id, scope["method"], scope["path"], status, seconds)
        )
        if len(self._answered) >= GATHERED_LINES:
            self.write()
        elif self._written_by is not (loop := asyncio.get_running_loop()):
            loop.call_later(GATHER_SECONDS, self.write)
            self._written_by = loop

    def write(self) -> None:
        """Write the lines that wait."""
        self._written_by = None
        for answered in self._answered:
            arguments = (answered.method, answered.path, answered.status)
            # Made without looking up who logs: it is known.
            record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, "%s %s %d", arguments, None)
            record.created = answered.at
            record.request_id, record.status = answered.request_id, answered.status
            record.milliseconds = round(answered.seconds * 1000, 1)
            logger.handle(record)
        self._answered.clear()


access_log = AccessLog()


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
            access_log.add(scope, request_id, status, time.perf_counter() - started)

    return middleware


def _sent_id(scope: Scope) -> str | None:
    """The caller's own id for the request, if it is a plain one."""
    for name, value in scope["headers"]:
        if name == _RAW_HEADER:
            sent = value.decode("latin-1")
            return sent if _ACCEPTED.fullmatch(sent) else None
    return None
