"""The endpoint of a usage counter, by its own protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from pagemill.errors import Unavailable
from pagemill.usage.endpoint import BYTES_AT_MOST, Endpoint


async def reverse(request: bytes) -> bytes:
    if request == b"away":
        raise Unavailable("Postgres is away")
    return request[::-1]


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = await Endpoint.open(reverse, host="127.0.0.1")
    yield endpoint
    await endpoint.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def connect(session: aiohttp.ClientSession, endpoint: Endpoint) -> aiohttp.ClientWebSocketResponse:
    headers = {"Authorization": endpoint.address.authorization}
    return await session.ws_connect(endpoint.address.url, headers=headers)


async def test_each_request_has_its_answer_and_a_reason_where_there_is_none(
    endpoint: Endpoint, session: aiohttp.ClientSession
) -> None:
    connection = await connect(session, endpoint)
    for request, answer in ((b"one", b"eno"), (b"away", "Postgres is away"), (b"two", b"owt")):
        await connection.send_bytes(request)
        assert (await connection.receive()).data == answer


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer no", "Bearer \xe9"])
async def test_without_the_key_nobody_is_heard(
    endpoint: Endpoint, session: aiohttp.ClientSession, authorization: str
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(endpoint.address.url, headers={"Authorization": authorization})
    assert refused.value.status == 401


async def test_too_much_at_once_ends_the_connection(
    endpoint: Endpoint, session: aiohttp.ClientSession
) -> None:
    connection = await connect(session, endpoint)
    await connection.send_bytes(bytes(BYTES_AT_MOST + 1))
    message = await connection.receive()
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.MESSAGE_TOO_BIG)


async def test_two_endpoints_have_keys_of_their_own_that_are_not_shown(endpoint: Endpoint) -> None:
    other = await Endpoint.open(reverse, host="127.0.0.1")
    assert other.address.authorization != endpoint.address.authorization
    assert endpoint.address.authorization.split()[1] not in repr(endpoint.address)
    await other.close()
