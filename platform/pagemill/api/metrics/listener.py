"""Listener for Prometheus, on a thread of its own: neither requests nor scrapes wait for each other."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import threading
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

PATH = "/metrics"
ANSWER_SECONDS = 10.0
"""Longest connection, with its request and its answer."""
REQUEST_BYTES = 8192
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class MetricsListener:
    """Listener of one process, until ``close``.

    Of several processes with the same port one listens; another one does when it ends. ``page`` makes the
    page, and ``closed`` is called in the end, both on the listener's event loop.
    """

    def __init__(
        self, page: Callable[[], Awaitable[bytes]], *, host: str, port: int, closed: Callable[[], None]
    ) -> None:
        self._page, self._host, self._port, self._closed = page, host, port, closed
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Stop listening, and wait until no connection is left."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            finally:
                self._closed()

    async def _serve(self) -> None:
        """Listen as soon as the port is free, until the end."""
        waits = False
        while not self._stopping.is_set():
            try:
                server = await asyncio.start_server(
                    self._serve_connection, self._host, self._port, limit=REQUEST_BYTES
                )
            except OSError as error:
                if not waits:
                    self._tell(error)
                waits = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), RETRY_SECONDS)
            else:
                await self._stopping.wait()
                server.close()

    def _tell(self, error: OSError) -> None:
        """Log why nobody listens here; where another process of the server does, all is well."""
        level = logging.INFO if error.errno == errno.EADDRINUSE else logging.WARNING
        logger.log(level, "metrics: this process does not listen on port %d: %s", self._port, error)

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(request))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            logger.debug("metrics: a connection has ended: %s", type(error).__name__)
        finally:
            # It may not have taken the answer.
            writer.transport.abort()

    async def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path != PATH.encode():
            return _response(HTTPStatus.NOT_FOUND)
        if method != b"GET":
            return _response(HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            return _response(HTTPStatus.OK, await self._page())
        except Exception:
            # A scrape that fails must not end the listener; Prometheus shows it as down.
            logger.exception("metrics: the page cannot be made")
            return _response(HTTPStatus.INTERNAL_SERVER_ERROR)


def _response(status: HTTPStatus, body: bytes = b"") -> bytes:
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {CONTENT_TYPE_PLAIN_0_0_4}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + body
