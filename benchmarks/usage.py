"""Reservations of usage by concurrent clients, beside the plain guarded UPDATE on the same Postgres.

python benchmarks/usage.py --out benchmarks/results/usage.json

Each round measures three sides with as many clients each: the reference, with a connection for each client;
the combiner in this process; and the usage counter actor, called by this process. Every side reaches the
limits, and its rate is the number of granted units a second. Every reservation is for a job of its own, like
the platform's: unlike the reference, it locks the job and is stored under its id.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import asyncpg
import ray
import uvloop

from benchmarks.machine import machine
from benchmarks.servers import DATABASE, durability, durable_postgres, write_figures
from db.pool import PLANNED_ONCE, connect, create_pool
from pagemill.errors import LimitExceeded
from pagemill.settings import Settings, to_environment
from pagemill.usage.actor import UsageCounterHandle, start_counters
from pagemill.usage.client import UsageClient
from pagemill.usage.combiner import CONCURRENT_COMMITS, Combiner, Reservation
from pagemill.usage.meters import current_month
from pagemill.usage.reservation_store import PostgresReservationStore
from tests.support.ray_cluster import NAMESPACE, local_ray

BATCH_SIZE = 64
ORGANIZATIONS = 10_000
ASKED = 1.25
"""Units that are asked for, by units that are allowed."""
CALLS = 2000
BATCHES = 100
SIDES = ("reference", "combiner", "actor")

TARGETS = {
    "hotOrganization.ratio": "at least 5",
    "hotOrganization.overGranted": "0",
    "manyOrganizations.ratio": "at least 1",
}

Reserve: TypeAlias = Callable[[int, str, str], Awaitable[bool]]
"""Takes the client's number, the organization and the job; returns whether a unit was granted."""

PLAIN = """
    UPDATE usage_counter SET used = used + 1
    WHERE organization_id = $1 AND month = $2 AND meter = 'pages' AND used + 1 <= $3
    RETURNING used
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Result of one side in one round; ``seconds`` until the last unit was granted."""

    granted: int
    refused: int
    seconds: float
    over_granted: float

    @property
    def rate(self) -> float:
        """Granted units a second."""
        return self.granted / self.seconds


def main() -> None:
    """Measure and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--clients", type=int, default=64, help="that reserve at a time (Postgres allows 100)"
    )
    parser.add_argument("--hot-units", type=int, default=20_000)
    parser.add_argument("--hot-reference-units", type=int, default=3_000)
    parser.add_argument("--units-of-each", type=int, default=2, help="of each of the many organizations")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with durable_postgres() as postgres:
        settings = Settings(
            database_url=postgres.url(DATABASE),
            objects_url="file:///unused",
            token_key="unused",  # noqa: S106 - nothing is signed
            ray_namespace=NAMESPACE,
        )
        with local_ray(to_environment(settings)):
            ray.get([counter.ping.remote() for counter in start_counters(settings, "benchmark")])
            figures = uvloop.run(measure(settings, arguments))
    write_figures(figures, arguments.out)


async def measure(settings: Settings, arguments: argparse.Namespace) -> dict[str, object]:
    """Return all figures; in each round another side goes first."""
    began = machine()
    pool = await create_pool(settings.database_url, size=CONCURRENT_COMMITS, session=PLANNED_ONCE)
    clients = [await connect(settings.database_url) for _ in range(arguments.clients)]
    bench = Bench(settings, pool, clients)
    try:
        await bench.prepare()
        hot, many = [], []
        units = dict.fromkeys(SIDES, arguments.hot_units) | {"reference": arguments.hot_reference_units}
        for side in SIDES:
            await bench.run(side, ORGANIZATIONS, 1)
        for number in range(arguments.rounds):
            first = number % len(SIDES)
            order = SIDES[first:] + SIDES[:first]
            hot.append({side: await bench.run(side, 1, units[side]) for side in order})
            many.append(
                {side: await bench.run(side, ORGANIZATIONS, arguments.units_of_each) for side in order}
            )
        return {
            "benchmark": "usage",
            "clients": arguments.clients,
            "rounds": arguments.rounds,
            "hotOrganization": figures_of(hot),
            "manyOrganizations": {"organizations": ORGANIZATIONS, **figures_of(many)},
            "rayCall": {**await ray_call(settings), "batchOf64": await bench.batch()},
            "targets": TARGETS,
            "postgres": await durability(pool),
            "machine": began,
        }
    finally:
        await bench.close()
        for client in clients:
            await client.close()
        await pool.close()


class Bench:
    """Benchmark on one database; each side of a round begins with new jobs and counters at zero."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, clients: Sequence[asyncpg.Connection]) -> None:
        self._pool, self._clients = pool, clients
        self._month = current_month()
        self._names = [f"las:organization:{number:05d}" for number in range(ORGANIZATIONS)]
        self._combiner = Combiner(PostgresReservationStore(pool))
        self._client = UsageClient(settings)

    async def prepare(self) -> None:
        """Insert organizations with a plan."""
        await self._pool.execute("INSERT INTO plan (id, slug, version) VALUES ('plan', 'plan', 1)")
        await self._pool.execute(
            "INSERT INTO organization (id, plan_id) SELECT name, 'plan' FROM unnest($1::text[]) AS name",
            self._names,
        )

    async def close(self) -> None:
        """Cancel the calls under way."""
        await self._client.close()

    async def run(self, side: str, organizations: int, allowed: int) -> Run:
        """Measure one side: each organization asks for all that it is allowed, some for more."""
        names = self._names[:organizations]
        units = allowed * organizations
        order = [names[number % organizations] for number in range(int(units * ASKED))]
        jobs = await self._reset(order, names, allowed)
        reserve: Reserve = {
            "reference": self._plain(allowed),
            "combiner": self._combined,
            "actor": self._through_actor,
        }[side]
        asked = iter(zip(order, jobs, strict=True))
        granted = refused = 0
        started = last = time.perf_counter()

        async def client(number: int) -> None:
            nonlocal granted, refused, last
            for organization_id, job_id in asked:
                if await reserve(number, organization_id, job_id):
                    granted += 1
                    last = time.perf_counter()
                else:
                    refused += 1

        await asyncio.gather(*(client(number) for number in range(len(self._clients))))
        counted = await self._pool.fetchval("SELECT sum(used) FROM usage_counter")
        return Run(granted, refused, last - started, float(max(counted, granted) - units))

    async def batch(self) -> dict[str, float]:
        """Return how long 64 reservations of 64 organizations take without others before them."""
        names = self._names[:BATCH_SIZE]
        order = names * BATCHES
        milliseconds = {}
        for name, reserve in (("combiner", self._combined), ("actor", self._through_actor)):
            jobs = iter(await self._reset(order, names, BATCHES))
            seconds = []
            for _ in range(BATCHES):
                started = time.perf_counter()
                await asyncio.gather(*(reserve(0, one, next(jobs)) for one in names))
                seconds.append(time.perf_counter() - started)
            milliseconds[f"{name}Milliseconds"] = round(1000 * statistics.median(seconds), 2)
        return milliseconds

    async def _reset(self, order: Sequence[str], names: Sequence[str], allowed: int) -> list[str]:
        await self._pool.execute("TRUNCATE job, usage_reservation, usage_counter")
        await self._pool.execute("UPDATE plan SET allowed = $1", {"pages": allowed})
        await self._pool.execute(
            "INSERT INTO usage_counter (organization_id, month, meter, used)"
            " SELECT name, $2, 'pages', 0 FROM unnest($1::text[]) AS name",
            names,
            self._month,
        )
        # Random, as the platform's are.
        rows = await self._pool.fetch(
            "INSERT INTO job (id, kind, organization_id, subject_id)"
            " SELECT replace(gen_random_uuid()::text, '-', ''), 'prediction', name, 'none'"
            " FROM unnest($1::text[]) AS name RETURNING id, organization_id",
            order,
        )
        assert [row["organization_id"] for row in rows] == list(order)
        for statement in ("VACUUM ANALYZE job, usage_counter, organization, plan", "CHECKPOINT"):
            await self._pool.execute(statement)
        return [row["id"] for row in rows]

    def _plain(self, allowed: int) -> Reserve:
        async def reserve(client: int, organization_id: str, _job_id: str) -> bool:
            used = await self._clients[client].fetchval(PLAIN, organization_id, self._month, allowed)
            return used is not None

        return reserve

    async def _combined(self, _client: int, organization_id: str, job_id: str) -> bool:
        return await self._combiner.reserve(Reservation(organization_id, job_id, {"pages": 1})) == "granted"

    async def _through_actor(self, _client: int, organization_id: str, job_id: str) -> bool:
        try:
            await self._client.reserve(organization_id, job_id, {"pages": 1}, attempt=None)
        except LimitExceeded:
            return False
        return True


def figures_of(rounds: Sequence[Mapping[str, Run]]) -> dict[str, object]:
    """Return medians. Ratios are taken within each round, whose sides ran under the same load."""
    rate = {name: statistics.median(one[name].rate for one in rounds) for name in SIDES}
    ratio = {
        name: statistics.median(one[name].rate / one["reference"].rate for one in rounds)
        for name in ("combiner", "actor")
    }
    ours = [one[name] for one in rounds for name in ("combiner", "actor")]
    return {
        "ratio": round(min(ratio.values()), 2),
        "ratioOfCombiner": round(ratio["combiner"], 2),
        "ratioThroughActor": round(ratio["actor"], 2),
        "overGranted": max(run.over_granted for run in ours),
        "granted": sum(run.granted for run in ours),
        "refused": sum(run.refused for run in ours),
        "ratios": {
            name: [round(one[name].rate / one["reference"].rate, 2) for one in rounds] for name in ratio
        },
        "grantedPerSecond": {name: round(value) for name, value in rate.items()},
        "referenceOverGranted": max(one["reference"].over_granted for one in rounds),
    }


async def ray_call(settings: Settings) -> dict[str, object]:
    """Return the cost of a call that does nothing: one at a time, and 64 at a time."""
    counter = start_counters(settings, "benchmark")[0]
    await _ping(counter)
    seconds = []
    for _ in range(CALLS // 4):
        started = time.perf_counter()
        await _ping(counter)
        seconds.append(time.perf_counter() - started)
    asked = iter(range(CALLS))

    async def client() -> None:
        for _ in asked:
            await _ping(counter)

    started, computed = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(BATCH_SIZE)))
    together = time.perf_counter() - started
    return {
        "milliseconds": round(1000 * statistics.median(seconds), 3),
        "callsPerSecondOf64Clients": round(CALLS / together),
        "cpuMicrosecondsOfTheCaller": round(1e6 * (time.process_time() - computed) / CALLS),
    }


async def _ping(counter: UsageCounterHandle) -> None:
    await counter.ping.remote()


if __name__ == "__main__":
    main()
