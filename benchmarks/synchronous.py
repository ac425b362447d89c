"""Latency of a synchronous prediction that does nothing, from POST to answer, by stage."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.api_client import Caller
from benchmarks.predicting import store_predictable
from benchmarks.stacks import Stack, probe
from benchmarks.timing import CALLS, RHYTHMS, WARM_UP, median_milliseconds, repeated
from db.pool import connect

PARTS = ("serveCall", "fourRoundTrips", "apiCall")


@dataclass(frozen=True, slots=True)
class Answered:
    """One request, by the clock of the machine."""

    prediction_id: str
    sent: float
    answered: float


def sync_latency(stack: Stack, requests: int) -> dict[str, object]:
    """Return milliseconds; each request follows the answer to the one before."""
    credentials = stack.directory.credentials()
    predictable = asyncio.run(_store(stack.settings.database_url, credentials.organization_id))
    parts = probe(stack, credentials.organization_id)
    caller = Caller(stack)
    body = json.dumps(predictable.body(asynchronous=False)).encode()
    for _ in range(WARM_UP):
        caller.post("/v1/predictions", body)
    found = []
    for _ in range(requests):
        sent = time.time()
        answer = caller.post("/v1/predictions", body)
        found.append(Answered(answer["predictionId"], sent, time.time()))
    parts |= asyncio.run(round_trips(stack.owner_url))
    parts["apiCall"] = {
        rhythm: median_milliseconds(
            [_timed(lambda: caller.get("/v1/organizations/none"), pause) for _ in range(CALLS)]
        )
        for rhythm, pause in RHYTHMS.items()
    }
    p50 = _percentile([one.answered - one.sent for one in found], 0.5)
    sums = {rhythm: sum(parts[name][rhythm] for name in PARTS) for rhythm in RHYTHMS}
    return {
        "p50": p50,
        "p99": _percentile([one.answered - one.sent for one in found], 0.99),
        "requests": requests,
        "ratioToParts": round(p50 / sums["paused"], 2),
        "ratioToPartsBackToBack": round(p50 / sums["backToBack"], 2),
        "stages": asyncio.run(_stages(stack.settings.database_url, found)),
        "parts": {
            "sum": {rhythm: round(value, 2) for rhythm, value in sums.items()},
            **{name: parts[name] for name in PARTS},
        },
        "besides": {name: value for name, value in parts.items() if name not in PARTS},
    }


async def _store(database_url: str, organization_id: str) -> Any:
    connection = await connect(database_url)
    try:
        return await store_predictable(connection, organization_id)
    finally:
        await connection.close()


async def _stages(database_url: str, found: Sequence[Answered]) -> dict[str, float]:
    """Return the stages by the times in the job's row, each the beginning of a transaction."""
    connection = await connect(database_url)
    try:
        rows = await connection.fetch(
            """
            SELECT job.subject_id, job.created_time, job.started_time, job.ended_time,
                prediction.inference_time
            FROM job JOIN prediction ON prediction.id = job.subject_id
            WHERE job.subject_id = ANY($1::text[])
            """,
            [one.prediction_id for one in found],
        )
    finally:
        await connection.close()
    times = {row["subject_id"]: row for row in rows}
    marks = [
        (
            one.sent,
            _seconds(times[one.prediction_id]["created_time"]),
            _seconds(times[one.prediction_id]["started_time"]),
            _seconds(times[one.prediction_id]["ended_time"]),
            one.answered,
        )
        for one in found
    ]
    names = ("untilTransaction", "untilClaim", "untilOutcome", "untilAnswer")
    stages = {
        name: median_milliseconds([mark[number + 1] - mark[number] for mark in marks])
        for number, name in enumerate(names)
    }
    stages["ofWhichReadingAndPredicting"] = median_milliseconds([row["inference_time"] for row in rows])
    return stages


def _seconds(at: datetime.datetime) -> float:
    return at.timestamp()


async def round_trips(database_url: str) -> dict[str, dict[str, float]]:
    """Measure the statements that every job needs: write, take, end and read; three of them on disk."""
    connection = await connect(database_url)
    try:
        await connection.execute("CREATE TABLE parts (id integer PRIMARY KEY, state text)")
        numbers = iter(range(10**6))

        async def trips() -> None:
            number = next(numbers)
            await connection.execute("INSERT INTO parts VALUES ($1, 'queued')", number)
            await connection.execute("UPDATE parts SET state = 'running' WHERE id = $1", number)
            await connection.execute("UPDATE parts SET state = 'succeeded' WHERE id = $1", number)
            await connection.fetchval("SELECT state FROM parts WHERE id = $1", number)

        async def nothing() -> None:
            await connection.fetchval("SELECT 1")

        found = {
            name: await repeated(work)
            for name, work in (("fourRoundTrips", trips), ("emptyRoundTrip", nothing))
        }
        await connection.execute("DROP TABLE parts")
        return found
    finally:
        await connection.close()


def _timed(work: Callable[[], object], pause: float) -> float:
    time.sleep(pause)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _percentile(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
