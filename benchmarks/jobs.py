"""Jobs beside pgqueuer and procrastinate on the same Postgres, an empty prediction, and idle load.

python benchmarks/jobs.py --out benchmarks/results/jobs.json

``drain`` is one worker that empties a queue of jobs whose handler does nothing. ``accept`` measures POST
/predictions with ``async`` to 200, beside bare handlers that only queue. ``syncLatencyMs`` measures the whole
stack, as ``pagemill up`` starts it, with applications that do nothing; ``idleCpuPercent`` is the same stack
with nothing to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.api_servers import API, CREDENTIALS, UNLIMITED, access_token, server
from benchmarks.load import Load, post, run
from benchmarks.machine import machine
from benchmarks.own_queue import CONCURRENCY, ORGANIZATIONS
from benchmarks.predicting import Predictable, store_predictable
from benchmarks.queues import Queue, open_queues
from benchmarks.servers import DATABASE, OTHER_DATABASE, durability, durable_postgres, write_figures
from benchmarks.stacks import idle_cpu, running_stack
from benchmarks.synchronous import sync_latency
from db.pool import connect, create_pool
from pagemill.settings import to_environment
from pagemill.stack.bootstrap import create_first_organization
from pagemill.stack.directory import DataDirectory
from pagemill.stack.postgres import EmbeddedPostgres
from pagemill.stack.stack_configuration import StackConfiguration

QUEUES = "benchmarks.queue_api:create_app"
CONNECTIONS = 8
MILLISECONDS = 1000.0

TARGETS = {
    "drain.ratioToPgqueuer": "at least 1.0",
    "syncLatencyMs.p50": "at most 20",
    "syncLatencyMs.ratioToParts": "at most 3",
    "idleCpuPercent.above": "at most 8",
}


def main() -> None:
    """Measure and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=10_000, help="that each drain works off")
    parser.add_argument("--slow-jobs", type=int, default=1000, help="the same for procrastinate")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each side's accepting in each round")
    parser.add_argument("--requests", type=int, default=500, help="synchronous ones")
    parser.add_argument("--idle-windows", type=int, default=3)
    parser.add_argument("--idle-seconds", type=float, default=30.0, help="of each window")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    # Asked to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = machine()
    with durable_postgres() as postgres:
        queues = uvloop.run(drains(postgres, arguments))
        accepted = accept(postgres, arguments.rounds, arguments.seconds)
    with running_stack() as stack:
        idle = idle_cpu(stack, arguments.idle_windows, arguments.idle_seconds)
        synchronous = sync_latency(stack, arguments.requests)
    figures = {
        "benchmark": "jobs",
        "rounds": arguments.rounds,
        "drain": queues.pop("drain"),
        "accept": accepted,
        "syncLatencyMs": synchronous,
        "idleCpuPercent": idle,
        "targets": TARGETS,
        **queues,
        "machine": began,
    }
    write_figures(figures, arguments.out)


async def drains(postgres: EmbeddedPostgres, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return jobs per second of each queue, in turns; in each round another one goes first."""
    urls = postgres.url(DATABASE), postgres.url(OTHER_DATABASE)
    async with open_queues(*urls) as queues:
        jobs = dict.fromkeys(queues, arguments.jobs) | {"procrastinate": arguments.slow_jobs}
        names = list(queues)
        for name in names:
            await _drain(queues[name], arguments.slow_jobs)
        rounds = []
        for number in range(arguments.rounds):
            first = number % len(names)
            order = names[first:] + names[:first]
            rounds.append({name: await _drain(queues[name], jobs[name]) for name in order})
    pool = await create_pool(urls[0], size=1)
    kept = await durability(pool)
    await pool.close()
    return {
        "drain": {
            **_ratios(rounds),
            "jobsPerSecond": {name: round(statistics.median(one[name] for one in rounds)) for name in names},
            "jobs": jobs,
            "atOnce": CONCURRENCY,
            "organizations": ORGANIZATIONS,
        },
        "postgres": kept,
    }


async def _drain(queue: Queue, jobs: int) -> float:
    await queue.enqueue(jobs)
    return jobs / await queue.drain(jobs)


def _ratios(rounds: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """Return our rate over the other's within each round: the median, and all ratios."""
    others = [name for name in rounds[0] if name != "pagemill"]
    ratios = {name: [one["pagemill"] / one[name] for one in rounds] for name in sorted(others)}
    return {
        **{f"ratioTo{name.capitalize()}": round(statistics.median(ratios[name]), 2) for name in ratios},
        "ratios": {name: [round(ratio, 2) for ratio in found] for name, found in ratios.items()},
    }


def accept(postgres: EmbeddedPostgres, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the jobs accepted per second over this many connections, each of which waits for its answer."""
    predictable = asyncio.run(_predictable(postgres.url(DATABASE)))
    cores = os.sched_getaffinity(0)
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagemill-benchmark-")))
        directory = DataDirectory(path)
        directory.prepare()
        settings = StackConfiguration(directory, UNLIMITED, port=0).settings(postgres.url(DATABASE), None)
        ours = {**os.environ, **to_environment(settings)}
        others = {**os.environ, "PAGEMILL_DATABASE_URL": postgres.url(OTHER_DATABASE)}
        api = stack.enter_context(server(API, ours, cores, path / "api.log"))
        bare = stack.enter_context(server(QUEUES, others, cores, path / "queues.log"))
        body = json.dumps(predictable.body(asynchronous=True)).encode()
        requests = {
            "pagemill": (api.port, post(api.port, "/v1/predictions", access_token(api.port), body)),
            "pgqueuer": (bare.port, post(bare.port, "/pgqueuer", "none", b"{}")),
            "procrastinate": (bare.port, post(bare.port, "/procrastinate", "none", b"{}")),
        }
        loads: list[dict[str, Load]] = []
        for number in range(rounds + 1):
            first = number % len(requests)
            order = [*requests][first:] + [*requests][:first]
            loads.append({name: _loaded(*requests[name], seconds) for name in order})
    rates = [{name: load.per_second for name, load in one.items()} for one in loads[1:]]
    return {
        **_ratios(rates),
        "perSecond": {name: round(statistics.median(one[name] for one in rates)) for name in requests},
        "p50Ms": {name: _p50(loads[1:], name) for name in requests},
        "connections": CONNECTIONS,
    }


def _loaded(port: int, request: bytes, seconds: float) -> Load:
    return run(port, [request], seconds=seconds, connections=CONNECTIONS)


def _p50(loads: Sequence[Mapping[str, Load]], name: str) -> float:
    return round(statistics.median(one[name].percentile(0.5) for one in loads) * MILLISECONDS, 2)


async def _predictable(database_url: str) -> Predictable:
    connection = await connect(database_url)
    try:
        await create_first_organization(connection, CREDENTIALS)
        return await store_predictable(connection, CREDENTIALS.organization_id)
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
