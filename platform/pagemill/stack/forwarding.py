"""Forwarding to 127.0.0.1: from ::1, which ``localhost`` is first on many machines, and from containers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from pagemill.concurrency import cancel_and_wait

CHUNK_BYTES = 65536
IP_FREEBIND = 15
"""Option of Linux (in.h) that Python 3.11 has no name for."""


async def forward_ipv6(port: int) -> asyncio.Server | None:
    """Listen on [::1] and forward; None where this machine has no IPv6 or the port is taken there."""
    try:
        return await asyncio.start_server(_forwarding_to(port), "::1", port)
    except OSError:
        return None


async def forward_from(address: str, port: int) -> asyncio.Server:
    """Listen on an IPv4 address that this machine may not have yet, and forward. Raises OSError."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
        listening.bind((address, port))
    except OSError:
        listening.close()
        raise
    return await asyncio.start_server(_forwarding_to(port), sock=listening)


def _forwarding_to(port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            asking = asyncio.create_task(_copy(reader, inner_writer))
            try:
                await _copy(inner_reader, writer)
            finally:
                # Nobody answers any more. A container that was killed never closes its end.
                inner_writer.close()
                await cancel_and_wait([asking])

    return serve


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(CHUNK_BYTES):
            writer.write(piece)
            await writer.drain()
        # A client that has sent everything may still wait for the answer.
        writer.write_eof()
    except OSError:
        writer.transport.abort()
