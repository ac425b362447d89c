"""How Ray's workers reserve usage: through the counter actor that has the organization."""

from __future__ import annotations

import asyncio
import functools
import logging
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import assert_never, cast

import aiohttp
import msgspec
import ray

from pagemill.batching import Batches, BatchFailed
from pagemill.errors import Unavailable
from pagemill.settings import Settings
from pagemill.usage.actor import counter_name, start_counters
from pagemill.usage.combiner import COMBINED_AT_LEAST, COMBINED_AT_MOST, Reservation, Verdict
from pagemill.usage.counting import JobEnded, limit_exceeded
from pagemill.usage.endpoint import BYTES_AT_MOST, Address
from pagemill.usage.meters import Amount, Meter

__all__ = ["UsageClient", "shard_of", "start_counters"]

ANSWER_SECONDS = 30.0
REQUESTS_AT_ONCE = 2
"""While a counter commits what came with one request, the next one is on its way to it."""
AGAIN_SECONDS = 0.1
CLOSE_SECONDS = 0.1

logger = logging.getLogger(__name__)

_VERDICTS = msgspec.msgpack.Decoder(list[Verdict])


def shard_of(organization_id: str, shards: int) -> int:
    """Which counter has the organization; the same in every process."""
    return zlib.crc32(organization_id.encode()) % shards


class UsageClient:
    """Belongs to one event loop of a process of the Ray cluster; looks the actors up when it needs them.

    Reservations that are asked for together share a request. ``close`` it in the end.
    """

    def __init__(self, settings: Settings) -> None:
        self._namespace = settings.ray_namespace
        self._session: aiohttp.ClientSession | None = None
        self._idle: list[list[aiohttp.ClientWebSocketResponse]] = [[] for _ in range(settings.usage_counters)]
        self._requests: list[Batches[Reservation, Verdict]] = [
            Batches(
                functools.partial(self._request, shard),
                at_most=COMBINED_AT_MOST,
                at_once=REQUESTS_AT_ONCE,
                at_least=COMBINED_AT_LEAST,
            )
            for shard in range(settings.usage_counters)
        ]

    async def close(self) -> None:
        """Nobody may ask any more."""
        for requests in self._requests:
            await requests.close()
        for idle in self._idle:
            for connection in idle:
                await connection.close()
        if self._session is not None:
            await self._session.close()

    async def reserve(self, organization_id: str, job_id: str, amounts: Mapping[Meter, Amount]) -> None:
        """Count for a job, all or none, once however often it is tried; answered after the commit.

        Raises LimitExceeded, JobEnded for a job that is over, Unavailable when there is no answer for now.
        """
        requests = self._requests[shard_of(organization_id, len(self._requests))]
        reservation = Reservation(organization_id, job_id, dict(amounts))
        try:
            verdict = await requests.ask(reservation)
        except BatchFailed as error:
            raise Unavailable("Usage cannot be counted for now") from error
        match verdict:
            case "granted":
                return
            case "limit-exceeded":
                raise limit_exceeded(" or ".join(sorted(amounts)))
            case "job-ended":
                raise JobEnded("The job has ended")
            case _:
                assert_never(verdict)

    async def _request(self, shard: int, reservations: Sequence[Reservation]) -> list[Verdict]:
        """Asks again when a counter went away: what it counted already, the next one does not count again."""
        request = msgspec.msgpack.encode(reservations)
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                try:
                    return _VERDICTS.decode(await self._answer(shard, request))
                except aiohttp.ClientError as error:
                    logger.warning("usage counter %d is asked again: %s", shard, error)
                    await asyncio.sleep(AGAIN_SECONDS)

    async def _answer(self, shard: int, request: bytes) -> bytes:
        """Raises aiohttp.ClientError when the counter went away, Unavailable when it has no answer."""
        async with self._connection(shard) as connection:
            await connection.send_bytes(request)
            message = await connection.receive()
        match message.type:
            case aiohttp.WSMsgType.BINARY:
                return cast("bytes", message.data)
            case aiohttp.WSMsgType.TEXT:
                raise Unavailable(message.data)
            case _:
                raise aiohttp.ClientConnectionError("it went away")

    @asynccontextmanager
    async def _connection(self, shard: int) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """One that nobody else uses. Broken off, it is not used again: its answer may still come."""
        idle = self._idle[shard]
        connection = idle.pop() if idle else await self._connect(shard)
        try:
            yield connection
        except BaseException:
            await connection.close()
            raise
        if not connection.closed:
            idle.append(connection)

    async def _connect(self, shard: int) -> aiohttp.ClientWebSocketResponse:
        address = await self._address(shard)
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return await self._session.ws_connect(
            address.url,
            headers={"Authorization": address.authorization},
            max_msg_size=BYTES_AT_MOST,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
        )

    async def _address(self, shard: int) -> Address:
        """Raises ValueError, as Ray does, while there is no such actor, or RayError when it has no answer."""
        counter = await asyncio.to_thread(ray.get_actor, counter_name(shard), namespace=self._namespace)
        return cast("Address", await counter.address.remote())
