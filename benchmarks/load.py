"""Cheap HTTP client: keep-alive connections that each send the next request when the last is answered.

It parses as little as possible, so that the server is what is measured; ``ceiling`` measures the client
itself.
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
    """Results of one run; latencies in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Return the requests per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency that this share of the requests stayed below."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Caller(asyncio.Protocol):
    """One connection, which sends each of ``requests`` in turn until the deadline."""

    def __init__(self, requests: Sequence[bytes], deadline: float, load: Load) -> None:
        self._requests, self._deadline, self._load = requests, deadline, load
        self._next = 0
        self._left = -1
        self._head = b""
        self._sent = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Close the connection at once."""
        self.ended.cancel()
        self._transport.abort()
        await self._lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Collect the answer; send the next request when it is complete."""
        if self._left < 0:
            data = self._begin(self._head + data)
            if self._left < 0:
                return
        self._left -= len(data)
        if self._left == 0:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the run when the server closed the connection."""
        self._lost.set_result(None)
        if not self.ended.done():
            self.ended.set_exception(LoadError(f"the connection was closed: {exc}"))

    def _send(self) -> None:
        self._left, self._head = -1, b""
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)

    def _begin(self, data: bytes) -> bytes:
        """Parse the head when it is complete; return the part of the body that has come."""
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
    """Return the bytes of a GET request."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\n\r\n"
    ).encode()


def post(port: int, path: str, token: str, body: bytes) -> bytes:
    """Return the bytes of a POST request with JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(port: int, requests: Sequence[bytes], *, seconds: float, connections: int) -> Load:
    """Send ``requests`` repeatedly over this many connections. Raises LoadError."""
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
    """Server that answers everything with the same bytes."""

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
    """Run a server in another process that answers only ``body``; return its port."""
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
    """Return the requests per second that this client reaches against a server that takes no time."""
    with canned(body) as port:
        return run(port, [get(port, "/", "token")], seconds=seconds, connections=connections).per_second
