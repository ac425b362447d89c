"""A cheap HTTP client: keep-alive connections that each send the next request when the last is answered.

It parses no more than it must, so that what is measured is the server; ``ceiling`` says how far it goes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import cast

import uvloop

HEADERS_END = b"\r\n\r\n"
LENGTH = b"content-length: "
ANSWER_SECONDS = 30.0


class LoadError(RuntimeError):
    """The server answered something else than 200, or closed the connection."""


@dataclass(slots=True)
class Load:
    """What one run saw; latencies in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Caller(asyncio.Protocol):
    """One connection, which asks for each of ``requests`` in turn until the deadline."""

    def __init__(self, requests: Sequence[bytes], deadline: float, load: Load) -> None:
        self._requests, self._deadline, self._load = requests, deadline, load
        self._next = 0
        self._left = -1
        self._head = b""
        self._sent = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Break off whatever goes on; nothing of the connection is left then."""
        self.ended.cancel()
        self._transport.abort()
        await self._lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            data = self._begin(self._head + data)
            if self._left < 0:
                return
        self._left -= len(data)
        if self._left == 0:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set_result(None)
        if not self.ended.done():
            self.ended.set_exception(LoadError(f"the connection was closed: {exc}"))

    def _send(self) -> None:
        self._left, self._head = -1, b""
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)

    def _begin(self, data: bytes) -> bytes:
        """Look at the head as soon as it is complete; returns what has come of the body."""
        head, found, body = data.partition(HEADERS_END)
        if not found:
            self._head = data
            return b""
        lower = head.lower()
        at = lower.find(LENGTH)
        if head[9:12] != b"200" or at < 0:
            self._fail(f"answered {data[:600]!r}")
            return b""
        self._left = int(lower[at + len(LENGTH) :].split(b"\r\n", 1)[0])
        return body

    def _answered(self) -> None:
        now = time.perf_counter()
        self._load.latencies.append(now - self._sent)
        if now < self._deadline:
            self._send()
        else:
            self._end()

    def _fail(self, why: str) -> None:
        self.ended.set_exception(LoadError(why))
        self._transport.abort()

    def _end(self) -> None:
        self.ended.set_result(None)
        self._transport.close()


def get(port: int, path: str, token: str) -> bytes:
    """The bytes of a GET."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\n\r\n"
    ).encode()


def post(port: int, path: str, token: str, body: bytes) -> bytes:
    """The bytes of a POST of JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(port: int, requests: Sequence[bytes], *, seconds: float, connections: int) -> Load:
    """Send ``requests`` over and over on so many connections. Raises LoadError."""
    return uvloop.run(_run(port, requests, seconds, connections))


async def _run(port: int, requests: Sequence[bytes], seconds: float, connections: int) -> Load:
    load, loop = Load(), asyncio.get_running_loop()
    began = time.perf_counter()
    share = max(1, len(requests) // connections)
    async with AsyncExitStack() as stack:
        callers = []
        for index in range(connections):
            start = index * share % len(requests)
            own = [*requests[start:], *requests[:start]]
            _, caller = await loop.create_connection(
                lambda own=own: _Caller(own, began + seconds, load),  # type: ignore[misc]
                "127.0.0.1",
                port,
            )
            stack.push_async_callback(caller.close)
            callers.append(caller)
        async with asyncio.timeout(seconds + ANSWER_SECONDS):
            await asyncio.gather(*(caller.ended for caller in callers))
        load.seconds = time.perf_counter() - began
    return load


class _Canned(asyncio.Protocol):
    """Answers whatever comes with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)


def _serve(answer: bytes, ready: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Canned(answer), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


@contextmanager
def canned(body: bytes, *, status: str = "200 OK") -> Iterator[int]:
    """The port of a server, in a process of its own, that does nothing but answer ``body``."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(head.encode() + body, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def ceiling(body: bytes, *, seconds: float, connections: int) -> float:
    """How many requests a second this client makes of a server that takes no time to answer."""
    with canned(body) as port:
        return run(port, [get(port, "/", "token")], seconds=seconds, connections=connections).per_second
