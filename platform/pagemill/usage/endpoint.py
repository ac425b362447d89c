"""Where a usage counter takes reservations: WebSockets on a port of its own, for those who have its key.

The port and the key come from the actor, by a call of Ray: who may not call the actor gets nothing here. Each
binary message is a request and has one answer: a binary message, or a text that says why there is none.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import WSMsgType, web

from pagemill.errors import PagemillError

PATH = "/reservations"
BYTES_AT_MOST = 1024 * 1024
"""Of one request: some thousand reservations."""

CLOSE_SECONDS = 0.1
"""What is being answered when the endpoint is closed is given so long."""

logger = logging.getLogger(__name__)


class Address(msgspec.Struct, frozen=True):
    """Where a usage counter takes reservations, and what it wants to see for it."""

    url: str
    authorization: str

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


class Endpoint:
    """Gives ``answer`` what it is asked; what that raises of ours is told to the one who asked."""

    def __init__(self, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._answer = answer
        self._authorization = f"Bearer {secrets.token_urlsafe(32)}"
        self._runner: web.AppRunner

    @classmethod
    async def open(cls, answer: Callable[[bytes], Awaitable[bytes]], *, host: str) -> Endpoint:
        """Listen on a free port of the host; it stays open until ``close`` or the end of the process."""
        endpoint = cls(answer)
        application = web.Application()
        application.router.add_get(PATH, endpoint._take)
        endpoint._runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_SECONDS)
        await endpoint._runner.setup()
        await web.TCPSite(endpoint._runner, host, 0).start()
        return endpoint

    @property
    def address(self) -> Address:
        host, port = self._runner.addresses[0][:2]
        return Address(f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}", self._authorization)

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.WebSocketResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), self._authorization.encode()):
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse(max_msg_size=BYTES_AT_MOST, compress=False)
        await socket.prepare(request)
        with contextlib.suppress(ConnectionError):  # whoever asked is gone, and asks again
            async for message in socket:
                if message.type is not WSMsgType.BINARY:
                    break
                try:
                    answer = await self._answer(message.data)
                except PagemillError as error:
                    logger.warning("reservations have no answer: %s", error)
                    await socket.send_str(str(error))
                else:
                    await socket.send_bytes(answer)
        return socket
