"""Connections to ::1, and from networks of containers, reach what listens on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pagemill.stack.forwarding import forward_from, forward_ipv6


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server on 127.0.0.1 that answers in capitals."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@contextlib.asynccontextmanager
async def forwarding(port: int) -> AsyncIterator[None]:
    """Forward to a port; skip the test on a machine without IPv6."""
    server = await forward_ipv6(port)
    if server is None:
        pytest.skip("this machine has no IPv6")
    async with closing(server):
        yield


@contextlib.asynccontextmanager
async def closing(server: asyncio.Server) -> AsyncIterator[asyncio.Server]:
    """Close a server at the end, and wait until its connections have ended."""
    yield server
    server.close()
    await server.wait_closed()
    async with asyncio.timeout(60):
        while asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110 - tasks tell nobody
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of ::1."""
    reader, writer = await asyncio.open_connection("::1", port)
    yield reader, writer
    writer.close()
    await writer.wait_closed()


async def test_both_directions_are_forwarded(echo: int) -> None:
    async with forwarding(echo), connection(echo) as (reader, writer):
        for line in (b"one\n", b"x" * 50_000 + b"\n"):
            writer.write(line)
            assert await asyncio.wait_for(reader.readexactly(len(line)), 60) == line.upper()


async def test_a_client_that_has_sent_everything_gets_its_answer(echo: int) -> None:
    async with forwarding(echo), connection(echo) as (reader, writer):
        writer.write(b"last\n")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 60) == b"LAST\n"


async def test_a_port_that_is_taken_is_left_alone(echo: int) -> None:
    async with forwarding(echo):
        assert await forward_ipv6(echo) is None


async def test_another_address_of_this_machine_is_forwarded(echo: int) -> None:
    async with closing(await forward_from("127.0.0.2", echo)):
        reader, writer = await asyncio.open_connection("127.0.0.2", echo)
        writer.write(b"from a container\n")
        assert await asyncio.wait_for(reader.readline(), 5) == b"FROM A CONTAINER\n"
        writer.close()
        await writer.wait_closed()


async def test_an_address_may_come_later(echo: int) -> None:
    async with closing(await forward_from("192.0.2.1", echo)) as server:
        assert server.sockets[0].getsockname() == ("192.0.2.1", echo)


async def test_an_address_that_is_taken_is_an_error(echo: int) -> None:
    async with closing(await forward_from("192.0.2.1", echo)):
        with pytest.raises(OSError, match="in use"):
            await forward_from("192.0.2.1", echo)


async def test_a_connection_ends_when_nobody_answers_on_it_any_more() -> None:
    """Also when its client never closes its end, as a container that was killed."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with forwarding(port):
        reader, writer = await asyncio.open_connection("::1", port)
        assert await reader.read() == b""
    # What forwarded has ended by now.
    writer.close()
    await writer.wait_closed()
    server.close()
