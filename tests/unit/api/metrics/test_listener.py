"""The listener answers scrapes, lets nobody hold it up, and takes a port over from a process that ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from pagemill.api.metrics import listener as module
from pagemill.api.metrics.listener import MetricsListener
from pagemill.stack.postgres import free_port
from tests.support.running import eventually

SECONDS = 60.0


def page_of(text: bytes) -> Callable[[], Awaitable[bytes]]:
    async def page() -> bytes:
        return text

    return page


async def broken_page() -> bytes:
    raise RuntimeError("no page")


def nothing() -> None:
    return


def listen(
    port: int, page: Callable[[], Awaitable[bytes]], *, closed: Callable[[], None] = nothing
) -> MetricsListener:
    return MetricsListener(page, host="127.0.0.1", port=port, closed=closed)


async def scrape(port: int, path: str = "/metrics") -> httpx.Response | None:
    """The answer; None while nobody listens."""
    async with httpx.AsyncClient() as client:
        try:
            return await client.get(f"http://127.0.0.1:{port}{path}")
        except httpx.TransportError:
            return None


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a listener whose page is "figures"."""
    port = free_port()
    listener = listen(port, page_of(b"figures"))
    await eventually(lambda: scrape(port), seconds=SECONDS)
    yield port
    await listener.close()


async def test_the_page_is_plain_text(port: int) -> None:
    answer = await scrape(port, "/metrics?name=x")
    assert answer is not None
    assert (answer.status_code, answer.content) == (200, b"figures")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_there_is_nothing_else(port: int) -> None:
    for path in ("/", "/v1/documents", "/metrics/x"):
        answer = await scrape(port, path)
        assert answer is not None
        assert answer.status_code == 404
    async with httpx.AsyncClient() as client:
        assert (await client.post(f"http://127.0.0.1:{port}/metrics")).status_code == 405


@pytest.mark.parametrize("sent", [b"", b"GET", b"x" * 20_000, b"\x16\x03\x01\x02\x00\r\n\r\n"])
async def test_a_caller_that_sends_something_else_holds_nobody_up(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await scrape(port)
    assert answer is not None
    assert answer.content == b"figures"
    writer.close()
    del reader


async def test_a_slow_caller_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    port = free_port()
    listener = listen(port, page_of(b"figures"))
    await eventually(lambda: scrape(port), seconds=SECONDS)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\n")
    assert await asyncio.wait_for(_everything(reader), SECONDS) == b""
    writer.close()
    await listener.close()


async def _everything(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_a_page_that_cannot_be_made_is_an_error_of_that_scrape(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    listener = listen(port, broken_page)
    for _ in range(2):
        answer = await eventually(lambda: scrape(port), seconds=SECONDS)
        assert answer.status_code == 500
    await listener.close()
    assert "the page cannot be made" in caplog.text


async def test_another_process_takes_the_port_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    port, closed = free_port(), []
    first = listen(port, page_of(b"first"), closed=lambda: closed.append("first"))
    await eventually(lambda: scrape(port), seconds=SECONDS)
    second = listen(port, page_of(b"second"))
    answer = await scrape(port)
    assert answer is not None
    assert answer.content == b"first"
    await first.close()
    assert closed == ["first"]
    answer = await eventually(lambda: scrape(port), seconds=SECONDS)
    assert answer.content == b"second"
    await second.close()
    assert await scrape(port) is None


async def test_one_that_never_had_the_port_ends_too(port: int) -> None:
    closed: list[str] = []
    waiting = listen(port, page_of(b"never"), closed=lambda: closed.append("waiting"))
    await waiting.close()
    assert closed == ["waiting"]
