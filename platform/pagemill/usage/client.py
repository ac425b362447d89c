"""The client of the usage counters, for processes of the Ray cluster."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import zlib
from collections.abc import Mapping, Sequence
from typing import assert_never, cast

import msgspec
import ray
from ray.exceptions import RayActorError

from pagemill.batching import Batcher, BatchFailed
from pagemill.errors import Unavailable
from pagemill.ids import JobId, OrganizationId
from pagemill.settings import Settings
from pagemill.usage.actor import UsageCounterHandle, find_counters, start_counters
from pagemill.usage.combiner import MAX_BATCH_SIZE, SHARE_ABOVE, Reservation, Verdict
from pagemill.usage.limits import limit_exceeded
from pagemill.usage.meters import Amount, Meter
from pagemill.usage.reservations import JobEnded

__all__ = ["UsageClient", "shard_of", "start_counters"]

ANSWER_SECONDS = 30.0
CONCURRENT_CALLS = 2
"""Calls to one counter at a time: while it commits one batch, the next one is on its way.

A call costs its caller about half a millisecond of processor time, so reservations gather meanwhile.
"""
RETRY_SECONDS = 0.1

logger = logging.getLogger(__name__)

_VERDICTS = msgspec.msgpack.Decoder(list[Verdict])


def shard_of(organization_id: str, shards: int) -> int:
    """Return the shard (from 0) of an organization; it is the same in every process."""
    return zlib.crc32(organization_id.encode()) % shards


class UsageClient:
    """Client of the usage counters, for one event loop.

    Reservations that are made while calls are under way share the next call. ``close`` it in the end.
    """

    def __init__(self, settings: Settings) -> None:
        self._namespace = settings.ray_namespace
        self._counters: dict[int, UsageCounterHandle] = {}
        self._batchers: list[Batcher[Reservation, Verdict]] = [
            Batcher(
                functools.partial(self._reserve_batch, shard),
                max_size=MAX_BATCH_SIZE,
                concurrency=CONCURRENT_CALLS,
                share_above=SHARE_ABOVE,
                # A counter commits for an organization once at a time: a second call would only wait for it.
                group=lambda reservation: reservation.organization_id,
            )
            for shard in range(settings.usage_counters)
        ]

    async def close(self) -> None:
        """Cancel the calls under way. Nothing may be reserved afterwards."""
        for batcher in self._batchers:
            await batcher.close()

    async def reserve(
        self,
        organization_id: OrganizationId,
        job_id: JobId,
        amounts: Mapping[Meter, Amount],
        *,
        attempt: int | None,
    ) -> None:
        """Reserve units for a job, all or none; return when they are committed.

        A job is granted its units once, however often it asks. Raises LimitExceeded, JobEnded for a job that
        has ended or has another attempt, and Unavailable when no counter answers.
        """
        batcher = self._batchers[shard_of(organization_id, len(self._batchers))]
        try:
            verdict = await batcher.submit(Reservation(organization_id, job_id, dict(amounts), attempt))
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

    async def _reserve_batch(self, shard: int, reservations: Sequence[Reservation]) -> list[Verdict]:
        """Call the shard's counter; look it up and call again when it died.

        What a dead counter had committed is not counted again. Raises TimeoutError, ValueError when there is
        no such actor, and whatever the counter raises.
        """
        request = msgspec.msgpack.encode(reservations)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    counter = await self._counter(shard)
                    try:
                        return _VERDICTS.decode(await counter.reserve.remote(request))
                    except RayActorError as error:
                        logger.warning("usage counter %d is called again: %s", shard, error)
                        self._counters.pop(shard, None)
                        await asyncio.sleep(RETRY_SECONDS)
        except TimeoutError:
            self._counters.pop(shard, None)
            raise

    async def _counter(self, shard: int) -> UsageCounterHandle:
        """Return the handle of a counter. Raises ValueError, as Ray does, when there is no such actor."""
        if shard not in self._counters:
            self._counters[shard] = await self._look_up(shard)
        return self._counters[shard]

    async def _look_up(self, shard: int) -> UsageCounterHandle:
        return cast("UsageCounterHandle", await asyncio.to_thread(_find_counter, shard, self._namespace))


def _find_counter(shard: int, namespace: str) -> object:
    """Return a shard's counter of any release: two of them count no worse than one."""
    for name in find_counters(namespace, shard):
        # It may end just now, replaced by one of another release.
        with contextlib.suppress(ValueError):
            return ray.get_actor(name, namespace=namespace)
    raise ValueError(f"no usage counter {shard} runs in {namespace}")
