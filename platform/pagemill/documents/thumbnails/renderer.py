"""Renderer of thumbnails: it gives documents to confined child processes, and never parses them itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from pagemill.documents.thumbnails.render_messages import (
    READY,
    RENDER_SECONDS,
    RenderReply,
    RenderRequest,
)
from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.sandbox.child_process import ChildProcess
from pagemill.sandbox.framing import MessageTooLarge, frame, read_message

FORK_SERVER = "pagemill.documents.thumbnails.fork_server"
START_SECONDS = 30.0
WAIT_SECONDS = 10.0
"""The longest time that a thumbnail waits until others are made."""
GRACE_SECONDS = 5.0
CLOSING_SECONDS = 2.0
PIECE_BYTES = 256 * 1024
REPLY_BYTES = 64 * 1024
THUMBNAIL_BYTES = 64 * 1024 * 1024
"""As many as a document may have: a child is trusted as little as its document."""


def _not_available(detail: str) -> Unavailable:
    return Unavailable("Thumbnails are not available", detail=detail)


class Renderer:
    """Renders ``concurrency`` thumbnails at a time; starts the fork server when it is needed."""

    def __init__(self, *, concurrency: int) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._starting = asyncio.Lock()
        self._fork_server: _ForkServer | None = None

    async def render(
        self, request: RenderRequest, content: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the thumbnail piece by piece; close the generator if it is not read to its end.

        Raises DocumentUnreadable before the first piece, Unavailable when too many wait.
        """
        async with self._slot():
            fork_server = await self._running()
            connection = fork_server.connect()
            try:
                reader, writer = await asyncio.open_connection(sock=connection)
            except BaseException:
                connection.close()
                raise
            try:
                left = await _request(reader, writer, request, content, fork_server)
                while left > 0:
                    piece = await _read_piece(reader, left)
                    left -= len(piece)
                    yield piece
            finally:
                writer.close()

    async def close(self) -> None:
        """End the fork server; its children end by themselves."""
        if self._fork_server is not None:
            await asyncio.to_thread(self._fork_server.end)
            self._fork_server = None

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(self._slots.acquire(), WAIT_SECONDS)
        except TimeoutError:
            raise Unavailable("Too many thumbnails are being made") from None
        try:
            yield
        finally:
            self._slots.release()

    async def _running(self) -> _ForkServer:
        async with self._starting:
            if self._fork_server is None or not self._fork_server.is_running():
                await self.close()
                self._fork_server = await asyncio.to_thread(_ForkServer)
            return self._fork_server


async def _read_piece(reader: asyncio.StreamReader, left: int) -> bytes:
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            piece = await reader.read(min(left, PIECE_BYTES))
    except (TimeoutError, ConnectionError):
        piece = b""
    if not piece:
        raise _not_available("a child process ended early")
    return piece


async def _request(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: RenderRequest,
    content: AsyncIterator[bytes],
    fork_server: _ForkServer,
) -> int:
    """Send a document and return the size of its thumbnail."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(RENDER_SECONDS + GRACE_SECONDS):
            writer.write(frame(msgspec.msgpack.encode(request)))
            with contextlib.suppress(ConnectionError):  # the reason shows when its reply is read
                async for piece in content:
                    if writer.is_closing():
                        break
                    writer.write(piece)
                    await writer.drain()
            answer = await read_message(reader, maximum=REPLY_BYTES)
            reply = msgspec.msgpack.decode(answer, type=RenderReply)
    except MessageTooLarge:
        raise DocumentUnreadable("The document is damaged: its renderer sent an invalid reply") from None
    except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, msgspec.MsgspecError):
        if not fork_server.is_running():
            raise _not_available("the fork server has ended") from None
        if time.monotonic() - begun >= RENDER_SECONDS:
            raise DocumentUnreadable(
                f"The document takes longer than {RENDER_SECONDS} seconds to render"
            ) from None
        raise DocumentUnreadable("The document is damaged: its renderer failed") from None
    if reply.problem is not None:
        raise DocumentUnreadable(reply.problem)
    if not 0 <= reply.size <= THUMBNAIL_BYTES:
        raise DocumentUnreadable("The document is damaged: its thumbnail is too large")
    return reply.size


class _ForkServer:
    """The process that forks. Starting it blocks, and raises Unavailable if that fails."""

    def __init__(self) -> None:
        try:
            self._child = ChildProcess(FORK_SERVER)
        except OSError as error:
            raise _not_available(str(error)) from error
        self._child.connection.settimeout(START_SECONDS)
        try:
            ready = self._child.connection.recv(1)
        except OSError:
            ready = b""
        if ready != READY:
            self.end()
            raise _not_available("the fork server did not start")

    def is_running(self) -> bool:
        """Return whether the process is alive."""
        return self._child.is_running()

    def connect(self) -> socket.socket:
        """Return a connection to a new child."""
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._child.connection, [b"c"], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise _not_available(str(error)) from error
        finally:
            theirs.close()
        ours.setblocking(False)
        return ours

    def end(self) -> None:
        """End the process."""
        self._child.end(CLOSING_SECONDS)
