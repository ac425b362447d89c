"""Receive bodies of requests: in good time, and to their end before the answer is sent.

A server that answers and closes while the client is sending resets the connection, and the client never reads
the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import NamedTuple

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from pagemill.api.http.connection_bounds import Peer, arrivals
from pagemill.errors import BadRequest, PagemillError, RequestTimedOut

MAX_DRAINED_BYTES = 128 * 1024 * 1024
MAX_DRAIN_SECONDS = 30.0


class BodyPace(NamedTuple):
    """Slowest pace of a body: after ``wait`` seconds, at least ``rate`` bytes a second on average."""

    wait: float
    rate: float


class _Body:
    """The body of a request, and whether all of it was received."""

    def __init__(self, receive: Receive, pace: BodyPace, peer: Peer | None) -> None:
        self._receive, self._pace, self._peer = receive, pace, peer
        self._began: float | None = None
        self._received = 0
        self._ended = self._late = False
        arrivals.incomplete(peer)

    async def receive(self) -> Message:
        """Return the next message. Raises RequestTimedOut, and BadRequest when the body ends early."""
        if self._ended and not self._late:
            return await self._receive()  # type: ignore[return-value]
        try:
            async with asyncio.timeout(0 if self._late else self._seconds_left()):
                message = await self._receive()
        except TimeoutError:
            self._ended = self._late = True
            raise RequestTimedOut from None
        if message["type"] != "http.request":
            self._ended = True
            raise BadRequest("body: the connection ended before it did")
        self._received += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._ended:
            arrivals.complete(self._peer)
        return message  # type: ignore[return-value]

    def _seconds_left(self) -> float:
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        return max(0.0, self._began + self._pace.wait + self._received / self._pace.rate - now)

    async def drain(self) -> None:
        """Receive and drop the rest, within the limits of size and time."""
        left = MAX_DRAINED_BYTES
        with contextlib.suppress(TimeoutError, PagemillError):
            async with asyncio.timeout(MAX_DRAIN_SECONDS):
                while not self._ended and left > 0:
                    message = await self.receive()
                    left -= len(message.get("body", b""))  # type: ignore[arg-type]


def drain_middleware(app: ASGIApp, pace: BodyPace) -> ASGIApp:
    """Bound the time of bodies, and drain what the application left unread before an answer begins."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        if not _has_body(scope):
            arrivals.complete(scope.get("client"))
            await app(scope, receive, send)
            return
        body = _Body(receive, pace, scope.get("client"))

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
