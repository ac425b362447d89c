"""Providers are asked at public addresses alone, and what they answer is bounded."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pagemill.api.sign_in.openid import transport
from pagemill.api.sign_in.openid.transport import (
    LARGEST_ANSWER,
    ProviderAway,
    ProviderRefuses,
    ProviderTransport,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """A server of this machine, on a port that it has chosen; yields its URL."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def good(request: web.Request) -> web.Response:
    return web.json_response(
        {"method": request.method, "authorization": request.headers.get("Authorization")}
    )


async def test_json_is_read() -> None:
    async with served(good) as url:
        provider = ProviderTransport(private=True)
        assert await provider.get(url, bearer="x") == {"method": "GET", "authorization": "Bearer x"}
        answer = await provider.post(url, {"a": "b"}, basic=("id:", "a secret"))
        assert answer["authorization"] == "Basic aWQlM0E6YStzZWNyZXQ="


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1/",
        "https://localhost:1/",
        "https://127.0.0.1:1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]:1/",
        "https://2130706433/",
        "file:///etc/passwd",
    ],
)
async def test_inner_addresses_are_not_asked(url: str) -> None:
    with pytest.raises(ProviderAway):
        await ProviderTransport(private=False).get(url)


async def test_a_server_of_this_machine_is_never_reached() -> None:
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({})

    async with served(note) as url:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(ProviderAway):
                await ProviderTransport(private=False).get(url.replace("localhost", host))
            with pytest.raises(ProviderAway):
                await ProviderTransport(private=False).get(
                    url.replace("http:", "https:").replace("localhost", host)
                )
    assert asked == []


async def redirects(_request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "http://localhost:1/"})


async def too_large(_request: web.Request) -> web.Response:
    return web.Response(body=b'{"a": "' + b"x" * LARGEST_ANSWER + b'"}')


async def compressed(_request: web.Request) -> web.Response:
    return web.Response(body=gzip.compress(json.dumps({}).encode()), headers={"Content-Encoding": "gzip"})


async def a_list(_request: web.Request) -> web.Response:
    return web.json_response([])


async def broken(_request: web.Request) -> web.Response:
    return web.Response(text="<html>")


async def away(_request: web.Request) -> web.Response:
    return web.json_response({}, status=503)


async def forbidden(_request: web.Request) -> web.Response:
    return web.json_response({}, status=401)


@pytest.mark.parametrize("handler", [redirects, too_large, compressed, a_list, broken, away, forbidden])
async def test_other_answers_are_not_used(handler: Handler) -> None:
    async with served(handler) as url:
        with pytest.raises(ProviderAway):
            await ProviderTransport(private=True).get(url)


async def test_a_refusal_is_told_from_a_failure() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"error": "invalid_grant"}, status=400)

    async with served(refuse) as url:
        with pytest.raises(ProviderRefuses):
            await ProviderTransport(private=True).post(url, {})


async def test_a_silent_one_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SECONDS", 0.1)
    ended = asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        await ended.wait()
        return web.json_response({})

    async with served(wait) as url:
        with pytest.raises(ProviderAway):
            await ProviderTransport(private=True).get(url)
        ended.set()
