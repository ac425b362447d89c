"""The usage counter actors: each combines the reservations of its share of the organizations."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import asyncpg
import msgspec
import ray

from db.pool import create_pool
from pagemill.settings import Settings, load_settings
from pagemill.usage.combiner import COMMITS_AT_ONCE, Combiner, Reservation
from pagemill.usage.ledger import SESSION, PostgresLedger

CONCURRENT_CALLS = 1000

_RESERVATIONS = msgspec.msgpack.Decoder(list[Reservation])


class UsageCounter:
    """Combines in its own process and holds no truth: killed, it loses nothing that was answered.

    Reads its settings from the environment. Its pool is opened by the first reservation.
    """

    def __init__(self) -> None:
        self._database_url = load_settings(os.environ).database_url
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None
        self._combiner: Combiner | None = None

    async def reserve(self, reservations: bytes) -> bytes:
        """Takes and gives MessagePack, for Ray's own way takes longer than the commit.

        Answers each reservation in their order. Raises Unavailable when Postgres is away.
        """
        combiner = self._combiner or await self._open()
        return msgspec.msgpack.encode(await combiner.reserve_all(_RESERVATIONS.decode(reservations)))

    async def ping(self) -> str:
        """Answers when the actor is up."""
        return "ok"

    async def _open(self) -> Combiner:
        async with self._opening:
            if self._combiner is None:
                self._pool = await create_pool(
                    self._database_url,
                    size=COMMITS_AT_ONCE,
                    application_name="pagemill-usage-counter",
                    session=SESSION,
                )
                self._combiner = Combiner(PostgresLedger(self._pool))
            return self._combiner


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
            max_concurrency=CONCURRENT_CALLS,
            num_cpus=0,
        ).remote()
        for shard in range(settings.usage_counters)
    ]
