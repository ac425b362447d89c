"""Messages between a confined child process and its parent: each has its length in front."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Forked children copy the tables of all memory that their server has: what is not needed is not imported.
    import asyncio

_HEADER = struct.Struct(">I")
SENT_AT_ONCE = 256 * 1024
"""Payloads up to this size are copied behind their length: a receiver wakes up once for each message."""


class MessageTooLarge(OSError):
    """Error for a message with more bytes than its receiver allows."""


def frame(payload: bytes) -> bytes:
    """Return a message with its length in front."""
    return _HEADER.pack(len(payload)) + payload


def send_message(connection: socket.socket, payload: bytes) -> None:
    """Send a message; the socket's timeout bounds the whole of it. Raises OSError."""
    if len(payload) <= SENT_AT_ONCE:
        connection.sendall(frame(payload))
        return
    connection.sendall(_HEADER.pack(len(payload)))
    connection.sendall(payload)


def receive_message(
    connection: socket.socket, *, maximum: int | None = None, deadline: float | None = None
) -> bytearray:
    """Return the next message.

    ``maximum`` bounds its bytes, ``deadline`` (of ``time.monotonic()``) the time that it may take. Raises
    EOFError when the other side is gone, MessageTooLarge, TimeoutError, or another OSError.
    """
    (length,) = _HEADER.unpack(receive_exactly(connection, _HEADER.size, deadline=deadline))
    _check_length(length, maximum)
    return receive_exactly(connection, length, deadline=deadline)


def receive_exactly(connection: socket.socket, length: int, *, deadline: float | None = None) -> bytearray:
    """Return ``length`` bytes. Raises EOFError when the other side is gone, TimeoutError, OSError."""
    received = bytearray(length)
    view = memoryview(received)
    position = 0
    while position < length:
        if deadline is not None:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
        count = connection.recv_into(view[position:])
        if count == 0:
            raise EOFError
        position += count
    return received


async def read_message(reader: asyncio.StreamReader, *, maximum: int) -> bytes:
    """Return the next message of a stream of at most ``maximum`` bytes.

    Raises MessageTooLarge, asyncio.IncompleteReadError, or an OSError.
    """
    (length,) = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    _check_length(length, maximum)
    return await reader.readexactly(length)


def _check_length(length: int, maximum: int | None) -> None:
    if maximum is not None and length > maximum:
        raise MessageTooLarge(f"a message of {length} bytes, more than {maximum}")
