"""The access log: a line for each request, with who has sent it and from where."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import NamedTuple

from litestar.types import HTTPScope

from pagemill.logging_setup import lines_together
from pagemill.tracing.spans import active_trace_id

logger = logging.getLogger("pagemill.access")

GATHER_SECONDS = 0.05
"""Longest delay of a line. Lines that are written together take a third of the time of single ones."""
GATHERED_LINES = 1000


class _AnsweredRequest(NamedTuple):
    time: float
    request_id: str
    method: str
    path: str
    status: int
    seconds: float
    address: str
    principal: str | None
    organization: str | None
    trace_id: str | None


class AccessLog:
    """Buffer of access lines, written soon after the answer and at the latest when the application ends."""

    def __init__(self) -> None:
        self._requests: list[_AnsweredRequest] = []
        self._scheduled_in: asyncio.AbstractEventLoop | None = None
        # A child would write them a second time.
        os.register_at_fork(after_in_child=self._requests.clear)

    def add(self, scope: HTTPScope, request_id: str, status: int, seconds: float, address: str) -> None:
        """Add the line of a request that took ``seconds``. Has to be called in an event loop."""
        if not logger.isEnabledFor(logging.INFO):
            return
        # The query can hold client ids and secrets: it is not logged.
        answered = (time.time(), request_id, scope["method"], scope["path"], status, seconds, address)
        caller = scope["state"].get("caller")
        principal, organization = (
            (None, None) if caller is None else (caller.principal_id, caller.organization_id)
        )
        self._requests.append(_AnsweredRequest(*answered, principal, organization, active_trace_id()))
        if len(self._requests) >= GATHERED_LINES:
            self.write()
        elif self._scheduled_in is not (loop := asyncio.get_running_loop()):
            loop.call_later(GATHER_SECONDS, self.write)
            self._scheduled_in = loop

    def write(self) -> None:
        """Write all lines of the buffer."""
        self._scheduled_in = None
        with lines_together():
            for request in self._requests:
                logger.handle(_record(request))
        self._requests.clear()


def _record(request: _AnsweredRequest) -> logging.LogRecord:
    """Return the line, built by hand, because the logger would inspect the stack to find its caller."""
    arguments = (request.method, request.path, request.status)
    record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, "%s %s %d", arguments, None)
    record.created = request.time
    record.request_id, record.status = request.request_id, request.status
    record.milliseconds = round(request.seconds * 1000, 1)
    record.address, record.principal = request.address, request.principal
    record.organization, record.trace_id = request.organization, request.trace_id
    return record


access_log = AccessLog()
