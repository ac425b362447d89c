"""Messages keep their bounds, whatever the other side sends."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pagemill.sandbox import framing
from pagemill.sandbox.framing import MessageTooLarge, frame, read_message, receive_message, send_message
from tests.support.processes import PATIENCE_SECONDS


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_messages_arrive_one_by_one(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    for payload in (b"first", b"", b"third"):
        send_message(theirs, payload)
    assert [bytes(receive_message(ours)) for _ in range(3)] == [b"first", b"", b"third"]


@pytest.mark.parametrize("more", [-1, 0, 1, 100_000])
def test_messages_arrive_whole_however_they_are_sent(
    pair: tuple[socket.socket, socket.socket], more: int
) -> None:
    ours, theirs = pair
    payload = b"0123456789" * ((framing.SENT_AT_ONCE + more) // 10 + 1)
    payload = payload[: framing.SENT_AT_ONCE + more]
    sending = threading.Thread(target=send_message, args=(theirs, payload))
    sending.start()
    assert bytes(receive_message(ours)) == payload
    sending.join()


def test_a_message_that_is_too_large_is_not_read(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(b"\xff\xff\xff\xff")
    with pytest.raises(MessageTooLarge, match="4294967295"):
        receive_message(ours, maximum=10)


@pytest.mark.parametrize("sent", [b"", b"\0\0", frame(b"first")[:-1]])
def test_the_end_of_the_other_side_is_an_error(
    pair: tuple[socket.socket, socket.socket], sent: bytes
) -> None:
    ours, theirs = pair
    theirs.sendall(sent)
    theirs.close()
    with pytest.raises(EOFError):
        receive_message(ours)


def test_single_bytes_do_not_prolong_the_deadline(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ended = threading.Event()

    def trickle() -> None:
        theirs.sendall(frame(bytes(1000))[:4])
        while not ended.wait(0.02):
            theirs.sendall(b"x")

    trickling = threading.Thread(target=trickle)
    trickling.start()
    begun = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            receive_message(ours, deadline=begun + 0.2)
    finally:
        ended.set()
        trickling.join()
    assert time.monotonic() - begun < PATIENCE_SECONDS


async def test_a_stream_has_the_same_messages() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(frame(b"first") + frame(b"too long") + b"\0")
    reader.feed_eof()
    assert await read_message(reader, maximum=5) == b"first"
    with pytest.raises(MessageTooLarge):
        await read_message(reader, maximum=5)
