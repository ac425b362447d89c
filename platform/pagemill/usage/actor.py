"""The usage counter actors: each combines the reservations of its share of the organizations."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec
import ray
from ray.util import get_node_ip_address

from db.pool import PLANNED_ONCE, create_pool
from pagemill.settings import Settings, load_settings
from pagemill.usage.combiner import COMMITS_AT_ONCE, Combiner, Reservation
from pagemill.usage.endpoint import Address, Endpoint
from pagemill.usage.ledger import PostgresLedger

_RESERVATIONS = msgspec.msgpack.Decoder(list[Reservation])


class UsageCounter:
    """Combines in its own process and holds no truth: killed, it loses nothing that was answered.

    Ray starts it, finds it and starts it again. Reservations come in at an endpoint of its own, for a call of
    Ray takes longer than their commit. Reads its settings from the environment.
    """

    def __init__(self) -> None:
        self._database_url = load_settings(os.environ).database_url
        self._opening = asyncio.Lock()
        self._combiner: Combiner
        self._endpoint: Endpoint | None = None

    async def address(self) -> Address:
        """Where reservations are taken, until this process ends."""
        async with self._opening:
            if self._endpoint is None:
                pool = await create_pool(
                    self._database_url,
                    size=COMMITS_AT_ONCE,
                    application_name="pagemill-usage-counter",
                    session=PLANNED_ONCE,
                )
                self._combiner = Combiner(PostgresLedger(pool))
                self._endpoint = await Endpoint.open(self.reserve, host=get_node_ip_address())
            return self._endpoint.address

    async def reserve(self, reservations: bytes) -> bytes:
        """Answers each reservation in their order; takes and gives MessagePack.

        Raises Unavailable when Postgres is away.
        """
        return msgspec.msgpack.encode(await self._combiner.reserve_all(_RESERVATIONS.decode(reservations)))

    async def ping(self) -> str:
        """Answers when the actor is up."""
        return "ok"


def counter_name(shard: int) -> str:
    return f"usage-counter-{shard}"


def start_counters(settings: Settings) -> list[Any]:
    """Start the counters that do not run yet and return the handles of all.

    They are detached: they outlive the driver that starts them, and Ray restarts them when they die.
    """
    actor = ray.remote(UsageCounter)
    return [
        actor.options(
            name=counter_name(shard),
            namespace=settings.ray_namespace,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=-1,
            num_cpus=0,
        ).remote()
        for shard in range(settings.usage_counters)
    ]
