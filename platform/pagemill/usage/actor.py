"""The usage counters: Ray actors that combine the reservations of their share of the organizations."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable
from typing import Any, Protocol, cast

import msgspec
import ray
from ray.util import list_named_actors

from db.pool import PLANNED_ONCE, create_pool
from pagemill.errors import Unavailable
from pagemill.pools import coordinator
from pagemill.settings import Settings, load_settings
from pagemill.usage.combiner import CONCURRENT_COMMITS, Combiner, Reservation
from pagemill.usage.reservation_metrics import ReservationMetrics
from pagemill.usage.reservation_store import PostgresReservationStore

PREFIX = "usage-counter-"
START_SECONDS = 60.0

_RESERVATIONS = msgspec.msgpack.Decoder(list[Reservation])


class UsageCounterActor:
    """Usage counter of one shard of the organizations.

    It holds no truth: what it answered is in Postgres, and what it had not answered is asked again. It reads
    its settings from the environment and connects to Postgres for the first reservation.
    """

    def __init__(self, shard: int, shards: int) -> None:
        self._shard, self._shards = shard, shards
        self._database_url = load_settings(os.environ).database_url
        self._connecting = asyncio.Lock()
        self._combiner: Combiner | None = None
        self._metrics = ReservationMetrics()

    def __repr__(self) -> str:
        """Return what Ray's dashboard and logs show of the actor."""
        return f"UsageCounterActor(shard {self._shard + 1} of {self._shards})"

    async def reserve(self, reservations: bytes) -> bytes:
        """Return the verdict on each reservation, in their order, once it is committed.

        Both are MessagePack: a list of Reservation and a list of Verdict. Ray's own serialization of 64
        reservations takes 0.2 ms of the caller, sixty times as long. Raises Unavailable when Postgres is
        away.
        """
        combiner, begun = self._combiner or await self._connect(), time.monotonic()
        asked = _RESERVATIONS.decode(reservations)
        try:
            verdicts = await combiner.reserve_all(asked)
        except Unavailable:
            self._metrics.failed(len(asked))
            raise
        self._metrics.answered(verdicts, time.monotonic() - begun)
        return msgspec.msgpack.encode(verdicts)

    async def ping(self) -> str:
        """Answer when the actor is up."""
        return "ok"

    async def _connect(self) -> Combiner:
        async with self._connecting:
            if self._combiner is None:
                pool = await create_pool(
                    self._database_url,
                    size=CONCURRENT_COMMITS,
                    application_name="pagemill-usage-counter",
                    session=PLANNED_ONCE,
                )
                self._combiner = Combiner(PostgresReservationStore(pool))
            return self._combiner


class ReserveMethod(Protocol):
    """Ray's handle of ``UsageCounterActor.reserve``."""

    def remote(self, reservations: bytes) -> Awaitable[bytes]:
        """Call the method on the actor."""
        ...


class PingMethod(Protocol):
    """Ray's handle of ``UsageCounterActor.ping``."""

    def remote(self) -> Awaitable[str]:
        """Call the method on the actor."""
        ...


class UsageCounterHandle(Protocol):
    """Ray's handle of a usage counter."""

    @property
    def reserve(self) -> ReserveMethod:
        """Handle of the method."""
        ...

    @property
    def ping(self) -> PingMethod:
        """Handle of the method."""
        ...


def counter_name(shard: int, release: str) -> str:
    """Return the name under which Ray knows the counter of a shard (from 0)."""
    return f"{PREFIX}{shard}@{release}"


def find_counters(namespace: str, shard: int | None = None) -> list[str]:
    """Return the names of the counters, of one shard or of all, of whatever release. Blocks."""
    prefix = PREFIX if shard is None else f"{PREFIX}{shard}@"
    return sorted(
        actor["name"]
        for actor in list_named_actors(all_namespaces=True)
        if actor["namespace"] == namespace and actor["name"].startswith(prefix)
    )


def replace_counters(settings: Settings, release: str) -> None:
    """Have the counters of this release run, and no others. Raises RayError when one does not start.

    What an old counter has not answered when it ends is asked again of its successor, which answers already;
    what it had committed is not counted again.
    """
    answers: list[Any] = [counter.ping.remote() for counter in start_counters(settings, release)]
    ray.get(answers, timeout=START_SECONDS)
    current = {counter_name(shard, release) for shard in range(settings.usage_counters)}
    for name in find_counters(settings.ray_namespace):
        if name not in current:
            # It may have ended by itself.
            with contextlib.suppress(ValueError):
                ray.kill(ray.get_actor(name, namespace=settings.ray_namespace), no_restart=True)


def start_counters(settings: Settings, release: str) -> list[UsageCounterHandle]:
    """Start the counters of a release that do not run yet and return the handles of all.

    They are detached: they outlive the driver that starts them. Ray restarts them when they die and sends
    the calls again that had no answer.
    """
    actor = ray.remote(UsageCounterActor)
    return [
        cast(
            "UsageCounterHandle",
            actor.options(
                name=counter_name(shard, release),
                namespace=settings.ray_namespace,
                lifetime="detached",
                get_if_exists=True,
                max_restarts=-1,
                max_task_retries=-1,
                **coordinator().actor_options,
                # Hundreds of calls a second would push all other tasks out of the dashboard's list.
                enable_task_events=False,
            ).remote(shard, settings.usage_counters),
        )
        for shard in range(settings.usage_counters)
    ]
