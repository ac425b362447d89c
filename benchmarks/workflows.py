"""Executions of workflows beside the engine's drain of empty jobs, on one Postgres with every commit on disk.

python -m benchmarks.workflows --out benchmarks/results/workflows.json

``transitions`` starts executions of a flow of five states (Pass, Choice, Task, Pass, Succeed), so many at a
time; its task calls a function of the operator, in a process of its own. ``ratioToDrain`` is the number of
states a second over the number of jobs a second that one dispatcher drains, in turns with it.
``cpuMilliseconds`` says which processes work for how long on one execution. ``addedLatencyMs`` is the time
from the start of a task to the start of the next one, when nothing else happens; the function takes none.
``waiting100000`` is a dispatcher with and without 100,000 executions that wait for a month.
``containerStart`` is the time from a step to its container's program, beside the engine alone.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import uvloop

from benchmarks.container_start import container_start
from benchmarks.flow_dispatcher import flow_dispatcher
from benchmarks.flows import (
    OWNER,
    STATES,
    Ends,
    chain,
    five_states,
    start,
    store_task,
    store_workflow,
    waiting,
    write_functions,
)
from benchmarks.machine import machine
from benchmarks.own_queue import PagemillQueue
from benchmarks.progress import progress_bar
from benchmarks.servers import DATABASE, durability, durable_postgres, write_figures
from db.pool import PLANNED_ONCE, Pool, create_pool
from pagemill.ids import TransitionId
from pagemill.settings import Settings
from pagemill.stack.postgres import EmbeddedPostgres
from pagemill.workflows.execution_starts import ExecutionStarts

CONNECTIONS = 8
MONTH_SECONDS = 30 * 24 * 3600
MILLISECONDS = 1000.0
NOISE_BYTES = 2_000_000
"""By which the memory of an idle dispatcher differs from one time to the next."""
TARGETS: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "transitions.ratioToDrain": ("at least 0.3", lambda found: found >= 0.3),
    "addedLatencyMs.p50": ("at most 30", lambda found: found <= 30),
    "waiting100000.addedBytes": (f"at most {NOISE_BYTES}", lambda found: found <= NOISE_BYTES),
}


def main() -> None:
    """Measure and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--executions", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=50, help="executions at a time")
    parser.add_argument("--jobs", type=int, default=10_000, help="that each drain works off")
    parser.add_argument("--tasks", type=int, default=200, help="of which the latency is measured")
    parser.add_argument("--waiting", type=int, default=100_000, help="executions that wait")
    parser.add_argument("--idle-seconds", type=float, default=20.0, help="with and without them")
    parser.add_argument("--containers", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    # Asked to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = machine()
    with ExitStack() as stack:
        postgres = stack.enter_context(durable_postgres())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagemill-flows-")))
        settings = Settings(
            database_url=postgres.url(DATABASE),
            objects_url=directory.as_uri(),
            token_key="unused",  # noqa: S106 - nothing is signed
            functions_file=str(write_functions(directory)),
            function_concurrency=arguments.concurrency,
            function_memory=0.5,
        )
        figures = uvloop.run(measure(postgres, settings, arguments))
    figures["containerStart"] = container_start(arguments.containers)
    passed = {name: holds(_at(figures, name)) for name, (_, holds) in TARGETS.items()}
    write_figures(
        {
            "benchmark": "workflows",
            "rounds": arguments.rounds,
            **figures,
            "targets": {name: bound for name, (bound, _) in TARGETS.items()},
            "passed": passed,
            "machine": began,
        },
        arguments.out,
    )


def _at(figures: Mapping[str, Any], name: str) -> float:
    section, _, member = name.partition(".")
    return float(figures[section][member])


async def measure(
    postgres: EmbeddedPostgres, settings: Settings, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return all figures but those of containers."""
    pool = await create_pool(settings.database_url, size=CONNECTIONS)
    try:
        task = await store_task(pool)
        return {
            "transitions": await transitions(pool, postgres, settings, task, arguments),
            "addedLatencyMs": await added_latency(pool, settings, task, arguments.tasks),
            "waiting100000": await many_waiting(
                pool, postgres, settings, arguments.waiting, arguments.idle_seconds
            ),
            "postgres": await durability(pool),
        }
    finally:
        await pool.close()


async def transitions(
    pool: Pool,
    postgres: EmbeddedPostgres,
    settings: Settings,
    task: TransitionId,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Return states per second beside jobs per second, in turns."""
    executions, rounds = arguments.executions, arguments.rounds
    workflow_id = await store_workflow(pool, five_states(task))
    claiming = await create_pool(settings.database_url, size=1, session=PLANNED_ONCE)
    queue = PagemillQueue(pool, claiming)
    found: list[dict[str, float]] = []
    costs: list[dict[str, float]] = []
    with progress_bar("executions of workflows and drains", rounds) as advance:
        for _ in range(rounds):
            await queue.enqueue(arguments.jobs)
            drained = arguments.jobs / await queue.drain(arguments.jobs)
            with flow_dispatcher(settings) as dispatcher:
                await _run_many(pool, workflow_id, arguments.concurrency, arguments.concurrency)
                with _cpu_of(dispatcher, postgres, executions) as cost:
                    commits = await _commits(pool)
                    seconds = await _run_many(pool, workflow_id, executions, arguments.concurrency)
                    cost["commits"] = round((await _commits(pool) - commits) / executions, 1)
            costs.append(cost)
            found.append({"drain": drained, "states": STATES * executions / seconds})
            advance()
    await claiming.close()
    ratios = [one["states"] / one["drain"] for one in found]
    return {
        "ratioToDrain": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "statesPerSecond": round(statistics.median(one["states"] for one in found)),
        "drainedPerSecond": round(statistics.median(one["drain"] for one in found)),
        "commitsPerExecution": round(statistics.median(cost.pop("commits") for cost in costs), 1),
        "cpuMilliseconds": {
            name: round(statistics.median(cost[name] for cost in costs), 2) for name in costs[0]
        },
        "executions": executions,
        "statesOfEach": STATES,
        "atOnce": arguments.concurrency,
        "organizations": 1,
    }


async def _run_many(pool: Pool, workflow_id: Any, number: int, at_once: int) -> float:
    """Start executions, so many at a time, and return the seconds until the last one has succeeded."""
    ends, starts = Ends(pool), ExecutionStarts(pool, development_allowance=0)
    watching = asyncio.create_task(ends.watch())
    left = iter(range(number))

    async def client() -> None:
        for _ in left:
            status = await ends.of(await start(starts, workflow_id))
            assert status == "succeeded", status

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(at_once)))
    seconds = time.perf_counter() - started
    watching.cancel()
    return seconds


@contextmanager
def _cpu_of(
    dispatcher: psutil.Process, postgres: EmbeddedPostgres, executions: int
) -> Iterator[dict[str, float]]:
    """Fill in the processor milliseconds that each kind of process takes for an execution."""
    cost: dict[str, float] = {}
    before = _seconds(dispatcher, postgres)
    yield cost
    for name, seconds in _seconds(dispatcher, postgres).items():
        cost[name] = MILLISECONDS * (seconds - before[name]) / executions


def _seconds(dispatcher: psutil.Process, postgres: EmbeddedPostgres) -> dict[str, float]:
    return {
        "dispatcher": sum(dispatcher.cpu_times()[:2]),
        "functions": sum(sum(one.cpu_times()[:4]) for one in dispatcher.children(recursive=True)),
        "starting": sum(psutil.Process().cpu_times()[:2]),
        "postgres": sum(sum(one.cpu_times()[:2]) for one in _server_processes(postgres)),
    }


def _server_processes(postgres: EmbeddedPostgres) -> list[psutil.Process]:
    server = psutil.Process(int((postgres.directory / "data" / "postmaster.pid").read_text().split()[0]))
    return [server, *server.children()]


async def _commits(pool: Pool) -> int:
    """Return how many transactions have been committed; Postgres tells after a second."""
    await asyncio.sleep(1.1)
    return int(
        await pool.fetchval("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    )


async def added_latency(pool: Pool, settings: Settings, task: TransitionId, tasks: int) -> dict[str, Any]:
    """Return the milliseconds from one task to the next, one execution at a time."""
    length = 10
    workflow_id = await store_workflow(pool, chain(task, length))
    await pool.execute("DELETE FROM transition_execution")
    with (
        flow_dispatcher(settings),
        progress_bar("latency of a state", -(-tasks // length)) as advance,
    ):
        for _ in range(-(-tasks // length)):
            await _run_many(pool, workflow_id, 1, 1)
            advance()
    rows = await pool.fetch(
        "SELECT extract(epoch FROM end_time - created_time)::float8 AS seconds FROM transition_execution"
    )
    found = sorted(MILLISECONDS * row["seconds"] for row in rows)
    return {
        "p50": round(statistics.median(found), 2),
        "p99": round(found[int(0.99 * (len(found) - 1))], 2),
        "tasks": len(found),
    }


async def many_waiting(
    pool: asyncpg.Pool, postgres: EmbeddedPostgres, settings: Settings, number: int, seconds: float
) -> dict[str, Any]:
    """Return what a dispatcher takes with so many executions that wait, beside what it takes without them."""
    workflow_id = await store_workflow(pool, waiting(MONTH_SECONDS))
    await pool.execute("TRUNCATE job, workflow_execution CASCADE")
    with flow_dispatcher(settings) as dispatcher, progress_bar("waiting executions", 3) as advance:
        without = await _idle(pool, postgres, dispatcher, seconds)
        advance()
        await start(ExecutionStarts(pool, development_allowance=0), workflow_id)
        await _multiply(pool, number - 1)
        advance()
        with_them = await _idle(pool, postgres, dispatcher, seconds)
        advance()
    return {
        "addedBytes": int(with_them["bytes"] - without["bytes"]),
        "addedCpuPercent": round(with_them["cpuPercent"] - without["cpuPercent"], 2),
        "addedPostgresCpuPercent": round(with_them["postgresCpuPercent"] - without["postgresCpuPercent"], 2),
        "addedCommitsPerSecond": round(with_them["commitsPerSecond"] - without["commitsPerSecond"], 2),
        "executions": await pool.fetchval("SELECT count(*) FROM workflow_execution"),
        "timers": await pool.fetchval("SELECT count(*) FROM job WHERE state = 'queued'"),
        "without": without,
        "with": with_them,
        "secondsOfEach": seconds,
    }


async def _multiply(pool: Pool, number: int) -> None:
    """Copy the one waiting execution and its timer so many times."""
    await pool.execute(
        """
        INSERT INTO workflow_execution (organization_id, id, workflow_id, input, state, status, machine)
        SELECT organization_id, 'las:workflow-execution:' || number, workflow_id, input, state, status,
            machine
        FROM workflow_execution CROSS JOIN generate_series(1, $1::integer) AS number
        """,
        number,
    )
    await pool.execute(
        """
        INSERT INTO job (
            organization_id, id, kind, subject_id, payload, priority, maximum_attempts, run_after
        )
        SELECT organization_id, 'timer' || number, kind, 'las:workflow-execution:' || number, payload,
            priority, maximum_attempts, run_after + number * interval '1 s'
        FROM job CROSS JOIN generate_series(1, $1::integer) AS number
        WHERE organization_id = $2 AND kind = 'workflow-timer'
        """,
        *(number, OWNER),
    )
    await pool.execute("VACUUM ANALYZE job, workflow_execution")
    await pool.execute("CHECKPOINT")


async def _idle(
    pool: Pool, postgres: EmbeddedPostgres, dispatcher: psutil.Process, seconds: float
) -> dict[str, float]:
    """Return what a dispatcher and Postgres take while nothing is due."""
    commits, before = await _commits(pool), _seconds(dispatcher, postgres)
    await asyncio.sleep(seconds)
    after = _seconds(dispatcher, postgres)
    return {
        "bytes": dispatcher.memory_info().rss,
        "cpuPercent": round(100 * (after["dispatcher"] - before["dispatcher"]) / seconds, 2),
        "postgresCpuPercent": round(100 * (after["postgres"] - before["postgres"]) / seconds, 2),
        "commitsPerSecond": round((await _commits(pool) - commits) / (seconds + 1.1), 2),
    }


if __name__ == "__main__":
    main()
