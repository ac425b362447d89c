"""Draining of requests: the rest of a body is read before the answer is sent.

A server that answers and closes while the client is sending resets the connection, and the client never reads
the answer.
"""

from __future__ import annotations

import asyncio
import contextlib

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

MAX_DRAINED_BYTES = 128 * 1024 * 1024
MAX_DRAIN_SECONDS = 30.0


class _Body:
    """The body of a request, and whether all of it was received."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message  # type: ignore[return-value]

    async def drain(self) -> None:
        """Receive and drop the rest, within the limits of size and time."""
        left = MAX_DRAINED_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MAX_DRAIN_SECONDS):
                while not self._ended and left > 0:
                    message = await self.receive()
                    left -= len(message.get("body", b""))  # type: ignore[arg-type]


def drain_middleware(app: ASGIApp) -> ASGIApp:
    """Drain the body that the application left unread before an answer begins."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not _has_body(scope):
            await app(scope, receive, send)
            return
        body = _Body(receive)

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.drain()
            await send(message)

        await app(scope, body.receive, send_after_body)  # type: ignore[arg-type]

    return middleware


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
