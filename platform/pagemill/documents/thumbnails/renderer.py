"""The parent's side: documents are rendered by bounded children, a few at a time; it looks at no byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from pagemill.documents.thumbnails.messages import READY, SECONDS, RenderReply, RenderRequest
from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.sandbox.confinement import HEADER, child_command, child_environment

MODULE = "pagemill.documents.thumbnails.forks"
START_SECONDS = 30.0
TURN_SECONDS = 10.0
GRACE_SECONDS = 5.0
CLOSING_SECONDS = 2.0
PIECE_BYTES = 256 * 1024
REPLY_BYTES = 64 * 1024
RENDITION_BYTES = 64 * 1024 * 1024
"""No more than a document may have: a child is believed as little as its document."""


def _not_available(detail: str) -> Unavailable:
    return Unavailable("Renditions are not available", detail=detail)


class Renderer:
    """Starts the process that forks when it is first needed, and again when it has gone."""

    def __init__(self, *, at_once: int) -> None:
        self._gate = asyncio.Semaphore(at_once)
        self._starting = asyncio.Lock()
        self._forks: _Forks | None = None

    async def render(
        self, request: RenderRequest, content: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes, None]:
        """The rendition, piece by piece; close this when it is not read to the end.

        Raises DocumentUnreadable before the first piece, Unavailable when too many wait.
        """
        async with self._turn():
            forks = await self._running()
            connection = forks.connect()
            try:
                reader, writer = await asyncio.open_connection(sock=connection)
            except BaseException:
                connection.close()
                raise
            try:
                left = await _ask(reader, writer, request, content, forks)
                while left > 0:
                    piece = await _piece(reader, left)
                    left -= len(piece)
                    yield piece
            finally:
                writer.close()

    async def close(self) -> None:
        """End the process that forks; its children end by themselves."""
        if self._forks is not None:
            await asyncio.to_thread(self._forks.end)
            self._forks = None

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(self._gate.acquire(), TURN_SECONDS)
        except TimeoutError:
            raise Unavailable("Too many renditions are being made") from None
        try:
            yield
        finally:
            self._gate.release()

    async def _running(self) -> _Forks:
        async with self._starting:
            if self._forks is None or not self._forks.is_running():
                await self.close()
                self._forks = await asyncio.to_thread(_Forks)
            return self._forks


async def _piece(reader: asyncio.StreamReader, left: int) -> bytes:
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            piece = await reader.read(min(left, PIECE_BYTES))
    except (TimeoutError, ConnectionError):
        piece = b""
    if not piece:
        raise _not_available("a child has gone")
    return piece


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: RenderRequest,
    content: AsyncIterator[bytes],
    forks: _Forks,
) -> int:
    """Hand a document over; the size of what comes back."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(SECONDS + GRACE_SECONDS):
            payload = msgspec.msgpack.encode(request)
            writer.write(HEADER.pack(len(payload)) + payload)
            with contextlib.suppress(ConnectionError):  # why it has gone shows when its reply is read
                async for piece in content:
                    if writer.is_closing():
                        break
                    writer.write(piece)
                    await writer.drain()
            (length,) = HEADER.unpack(await reader.readexactly(HEADER.size))
            if length > REPLY_BYTES:
                raise DocumentUnreadable("The document is damaged: its renderer answered out of turn")
            reply = msgspec.msgpack.decode(await reader.readexactly(length), type=RenderReply)
    except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, msgspec.MsgspecError):
        if not forks.is_running():
            raise _not_available("the process that forks has gone") from None
        if time.monotonic() - begun >= SECONDS:
            raise DocumentUnreadable(f"The document takes longer than {SECONDS} seconds to render") from None
        raise DocumentUnreadable("The document is damaged: its renderer failed") from None
    if reply.problem is not None:
        raise DocumentUnreadable(reply.problem)
    if not 0 <= reply.size <= RENDITION_BYTES:
        raise DocumentUnreadable("The document is damaged: what it is rendered to has no end")
    return reply.size


class _Forks:
    """The process that forks. Blocks while it starts; raises Unavailable when it does not."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(START_SECONDS)
        try:
            self._process = subprocess.Popen(
                child_command(MODULE, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=child_environment(),
            )
        except OSError as error:
            self._control.close()
            raise _not_available(str(error)) from error
        finally:
            theirs.close()
        try:
            ready = self._control.recv(1)
        except OSError:
            ready = b""
        if ready != READY:
            self.end()
            raise _not_available("the process that forks did not start")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def connect(self) -> socket.socket:
        """A connection to a new child."""
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [b"c"], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise _not_available(str(error)) from error
        finally:
            theirs.close()
        ours.setblocking(False)
        return ours

    def end(self) -> None:
        self._control.close()
        try:
            self._process.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
