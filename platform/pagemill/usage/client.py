"""How Ray's workers reserve usage: through the counter actor that has the organization."""

from __future__ import annotations

import asyncio
import functools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import msgspec
import ray
from ray.exceptions import RayError

from pagemill.batching import Batches, BatchFailed
from pagemill.errors import Unavailable
from pagemill.settings import Settings
from pagemill.usage.actor import counter_name, start_counters
from pagemill.usage.combiner import COMBINED_AT_MOST, Reservation, Verdict
from pagemill.usage.counting import JobEnded, limit_exceeded
from pagemill.usage.meters import Amount, Meter

__all__ = ["UsageClient", "shard_of", "start_counters"]

ANSWER_SECONDS = 30.0
CALLS_AT_ONCE = 2
"""While a counter commits one call's reservations, the next ones are on their way to it."""

_VERDICTS = msgspec.msgpack.Decoder(list[Verdict])


def shard_of(organization_id: str, shards: int) -> int:
    """Which counter has the organization; the same in every process."""
    return zlib.crc32(organization_id.encode()) % shards


class UsageClient:
    """Belongs to a process of the Ray cluster; looks the actors up when it needs them.

    An actor takes one or two thousand calls a second, so reservations are gathered before the call.
    """

    def __init__(self, settings: Settings) -> None:
        self._namespace = settings.ray_namespace
        self._counters: dict[int, Any] = {}
        self._calls: list[Batches[Reservation, Verdict]] = [
            Batches(functools.partial(self._call, shard), at_most=COMBINED_AT_MOST, at_once=CALLS_AT_ONCE)
            for shard in range(settings.usage_counters)
        ]

    async def reserve(self, organization_id: str, job_id: str, amounts: Mapping[Meter, Amount]) -> None:
        """Count for a job, all or none, once however often it is tried; answered after the commit.

        Raises LimitExceeded, JobEnded for a job that is over, Unavailable when there is no answer for now.
        """
        calls = self._calls[shard_of(organization_id, len(self._calls))]
        reservation = Reservation(organization_id, job_id, dict(amounts))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                verdict = await calls.ask(reservation)
        except (BatchFailed, TimeoutError) as error:
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

    async def _call(self, shard: int, reservations: Sequence[Reservation]) -> list[Verdict]:
        try:
            counter = await self._counter(shard)
            async with asyncio.timeout(ANSWER_SECONDS):
                return await _answer(counter, reservations)
        except (RayError, ValueError, TimeoutError):
            self._counters.pop(shard, None)
            raise

    async def _counter(self, shard: int) -> Any:
        """Raises ValueError, as Ray does, while there is no such actor."""
        if shard not in self._counters:
            self._counters[shard] = await asyncio.to_thread(
                ray.get_actor, counter_name(shard), namespace=self._namespace
            )
        return self._counters[shard]


async def _answer(counter: Any, reservations: Sequence[Reservation]) -> list[Verdict]:
    return _VERDICTS.decode(await counter.reserve.remote(msgspec.msgpack.encode(reservations)))
