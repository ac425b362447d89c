"""Clients that send slowly, or nothing: what they send, and a process of them that connects again."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import resource
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from typing import Final, NamedTuple

DRIP_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 1.0
_FORM = b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"


class Slowness(NamedTuple):
    """First bytes of a client, and those that it sends again and again."""

    first: bytes
    then: bytes


KINDS: Final = {
    "silent": Slowness(b"", b""),
    "slowHeaders": Slowness(b"GET /health HTTP/1.1\r\nHost: a\r\n", b"X-More: 1\r\n"),
    "noBody": Slowness(_FORM + b"Content-Length: 5000\r\n\r\n", b""),
    "slowBody": Slowness(_FORM + b"Content-Length: 5000\r\n\r\n", b"x"),
}


@contextlib.contextmanager
def slow_clients(port: int, kind: str, count: int, cores: set[int]) -> Iterator[None]:
    """Keep so many connections of one kind open, from a process on these cores."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(port, kind, count, cores, ready), daemon=True)
    process.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("the slow clients do not come")
        yield
    finally:
        process.terminate()
        process.join()


def _hold(port: int, kind: str, count: int, cores: set[int], ready: Event) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, cores)

    async def hold() -> None:
        clients = [asyncio.create_task(_client(port, KINDS[kind])) for _ in range(count)]
        await asyncio.sleep(AGAIN_SECONDS)
        ready.set()
        await asyncio.gather(*clients)

    asyncio.run(hold())


async def _client(port: int, slowness: Slowness) -> None:
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(slowness.first)
            dripping = asyncio.create_task(_drip(writer, slowness.then))
            try:
                await reader.read()
            finally:
                dripping.cancel()
                writer.close()
        await asyncio.sleep(AGAIN_SECONDS)


async def _drip(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while piece:
        await asyncio.sleep(DRIP_SECONDS)
        writer.write(piece)
