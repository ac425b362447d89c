"""Renderer of thumbnails: it gives documents to confined child processes, and never parses them itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from pagemill.documents.thumbnails.render_messages import RENDER_SECONDS, RenderReply, RenderRequest
from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.sandbox.children import Children
from pagemill.sandbox.forked_child import ForkedChild, in_words
from pagemill.sandbox.framing import MessageTooLarge, frame, read_message

FORK_SERVER = "pagemill.documents.thumbnails.fork_server"
WAIT_SECONDS = 10.0
"""The longest time that a thumbnail waits until others are made."""
GRACE_SECONDS = 5.0
"""The longest time that a child takes to send a thumbnail that it has made, all waits for it together."""
PIECE_BYTES = 256 * 1024
REPLY_BYTES = 64 * 1024
THUMBNAIL_BYTES = 64 * 1024 * 1024
"""As many as a document may have: a child is trusted as little as its document."""
CHILD_ERRORS = (TimeoutError, ConnectionError, MessageTooLarge, asyncio.IncompleteReadError)
FAILED = "The document is damaged: its renderer failed"


def _not_available(detail: str) -> Unavailable:
    return Unavailable("Thumbnails are not available", detail=detail)


class Renderer:
    """Renders ``concurrency`` thumbnails at a time; starts the fork server when it is needed."""

    def __init__(self, *, concurrency: int, strict: bool = False) -> None:
        """Make a renderer; ``strict``: it is not available without essential means to confine children."""
        self._slots = asyncio.Semaphore(concurrency)
        self._children = Children(FORK_SERVER, strict=strict)

    async def render(
        self, request: RenderRequest, content: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the thumbnail piece by piece; close the generator if it is not read to its end.

        Raises DocumentUnreadable before the first piece, Unavailable when too many wait.
        """
        async with self._slot(), self._child() as child, _connected(child) as (reader, writer):
            try:
                left = await _request(reader, writer, request, content)
            except (*CHILD_ERRORS, msgspec.MsgspecError) as error:
                raise await self._failure(child, error) from None
            patience = GRACE_SECONDS
            while left > 0:
                begun = time.monotonic()
                piece = await _read_piece(reader, left, patience)
                patience -= time.monotonic() - begun
                left -= len(piece)
                yield piece

    async def close(self) -> None:
        """End the fork server, and with it its children."""
        await self._children.close()

    @contextlib.asynccontextmanager
    async def _child(self) -> AsyncIterator[ForkedChild]:
        try:
            child = await self._children.fork()
        except OSError as error:
            raise _not_available(str(error)) from error
        try:
            yield child
        finally:
            await self._children.end(child)

    async def _failure(self, child: ForkedChild, error: Exception) -> DocumentUnreadable | Unavailable:
        """Return what it means that a child has not answered as it should."""
        if isinstance(error, MessageTooLarge):
            return DocumentUnreadable("The document is damaged: its renderer sent an invalid reply")
        ending = await self._children.end(child)
        if ending is None:
            return _not_available("the fork server has ended")
        if isinstance(error, TimeoutError) or ending.processor_seconds >= RENDER_SECONDS - 1:
            return DocumentUnreadable(f"The document takes longer than {RENDER_SECONDS} seconds to render")
        return DocumentUnreadable(FAILED, detail=f"its renderer failed: {in_words(ending.status)}")

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


@contextlib.asynccontextmanager
async def _connected(child: ForkedChild) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    child.connection.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=child.connection)
    try:
        yield reader, writer
    finally:
        # At once, also with bytes to send: the socket is closed with the child.
        writer.transport.abort()


async def _read_piece(reader: asyncio.StreamReader, left: int, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
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
) -> int:
    """Send a document and return the size of its thumbnail. Raises what a child that fails leads to."""
    async with asyncio.timeout(RENDER_SECONDS):
        writer.write(frame(msgspec.msgpack.encode(request)))
        with contextlib.suppress(ConnectionError):  # the reason shows when its reply is read
            async for piece in content:
                if writer.is_closing():
                    break
                writer.write(piece)
                await writer.drain()
        answer = await read_message(reader, maximum=REPLY_BYTES)
    reply = msgspec.msgpack.decode(answer, type=RenderReply)
    if reply.problem is not None:
        raise DocumentUnreadable(reply.problem)
    if not 0 <= reply.size <= THUMBNAIL_BYTES:
        raise DocumentUnreadable("The document is damaged: its thumbnail is too large")
    return reply.size
