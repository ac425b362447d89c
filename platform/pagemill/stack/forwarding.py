"""Forwarding from ::1 to 127.0.0.1: ``localhost`` is ::1 first on many machines."""

from __future__ import annotations

import asyncio
import contextlib

CHUNK_BYTES = 65536


async def forward_ipv6(port: int) -> asyncio.Server | None:
    """Listen on [::1] and forward; None where this machine has no IPv6 or the port is taken there."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            inner_writer.close()
        writer.close()

    try:
        return await asyncio.start_server(serve, "::1", port)
    except OSError:
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(CHUNK_BYTES):
            writer.write(piece)
            await writer.drain()
        # A client that has sent everything may still wait for the answer.
        writer.write_eof()
    except OSError:
        writer.transport.abort()
