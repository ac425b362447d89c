"""Random histories of jobs, workers and cancellations: only succeeded jobs are counted."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import asyncpg
import pytest

from pagemill.errors import BadRequest
from pagemill.jobs import leases, outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.queue import request_cancel
from pagemill.usage.combiner import Combiner, Reservation
from pagemill.usage.reservation_store import PostgresReservationStore
from pagemill.work.kinds import KINDS
from pagemill.work.predictions import PREDICTION
from tests.support.tenants import Tenant
from tests.support.working import RESULT, submit, used

STEPS = 250
ACTIONS = (
    *("submit", "submit", "claim", "claim", "finish", "finish", "fail", "retry", "reserve"),
    *("expire", "reap", "make_ready", "cancel", "request_cancel"),
)
FINAL = ("succeeded", "failed", "cancelled")


class History:
    """One organization's jobs; ``workers`` are all attempts ever begun, none knows that it is late."""

    def __init__(self, pool: asyncpg.Pool, organization_id: str, seed: int) -> None:
        self._pool, self._organization_id = pool, organization_id
        self._random = random.Random(seed)
        self._workers: list[Job] = []
        self._predictions: list[str] = []
        self.ended: dict[str, str] = {}
        self.steps: Counter[str] = Counter()

    async def step(self) -> None:
        name = self._random.choice(ACTIONS)
        self.steps[name] += 1
        async with self._pool.acquire() as connection:
            await getattr(self, f"_{name}")(connection)

    async def _submit(self, _connection: Any) -> None:
        attempts = self._random.randint(1, 3)
        _, prediction_id = await submit(self._pool, self._organization_id, maximum_attempts=attempts)
        self._predictions.append(prediction_id)

    async def _claim(self, connection: Any) -> None:
        limit = self._random.randint(1, 4)
        self._workers += await leases.claim(connection, PREDICTION, owner="any", lease=60.0, limit=limit)

    async def _expire(self, connection: Any) -> None:
        await connection.execute(
            "UPDATE job SET lease_expires = now() - interval '1 s' WHERE state = 'running' AND random() < 0.5"
        )

    async def _make_ready(self, connection: Any) -> None:
        await connection.execute("UPDATE job SET run_after = now()")

    async def _reap(self, connection: Any) -> None:
        await leases.reap(connection, KINDS)

    async def _finish(self, connection: Any) -> None:
        if self._workers:
            await outcomes.finish(connection, PREDICTION, self._random.choice(self._workers), RESULT)

    async def _fail(self, connection: Any) -> None:
        if self._workers:
            await outcomes.fail(connection, PREDICTION, self._random.choice(self._workers), BadRequest("no"))

    async def _retry(self, connection: Any) -> None:
        if self._workers:
            job, counts = self._random.choice(self._workers), self._random.random() < 0.5
            await outcomes.retry(connection, job, RuntimeError(), delay=0.0, counts=counts)

    async def _cancel(self, connection: Any) -> None:
        asked = [job for job in self._workers if await self._is_asked_to_end(connection, job)]
        if asked:
            await outcomes.cancel(connection, PREDICTION, self._random.choice(asked))

    async def _is_asked_to_end(self, connection: Any, job: Job) -> bool:
        return await connection.fetchval("SELECT cancel_requested FROM job WHERE id = $1", job.id)

    async def _request_cancel(self, connection: Any) -> None:
        if self._predictions and self._random.random() < 0.3:
            prediction_id = self._random.choice(self._predictions)
            await request_cancel(
                connection, PREDICTION, organization_id=self._organization_id, subject_id=prediction_id
            )

    async def _reserve(self, connection: Any) -> None:
        if self._workers:
            job = self._random.choice(self._workers)
            combiner = Combiner(PostgresReservationStore(self._pool))
            verdict = await combiner.reserve(
                Reservation(job.organization_id, job.id, {"pages": RESULT.pages}, job.attempt)
            )
            late = job.attempt < await connection.fetchval("SELECT attempt FROM job WHERE id = $1", job.id)
            assert verdict == ("job-ended" if late or job.id in self.ended else "granted")

    async def check(self) -> None:
        """An end stays what it was, and subjects and counters say the same as the jobs."""
        rows = await self._pool.fetch(
            "SELECT job.id, state, status FROM job JOIN prediction ON prediction.id = job.subject_id"
        )
        for row in rows:
            if row["state"] in FINAL:
                assert self.ended.setdefault(row["id"], row["state"]) == row["state"]
                assert row["status"] == ("succeeded" if row["state"] == "succeeded" else "failed")
            else:
                assert row["id"] not in self.ended
        states = Counter(row["state"] for row in rows)
        open_jobs = states["queued"] + states["running"]
        assert await self._used("predictions") == states["succeeded"] + open_jobs
        reserved = await self._pool.fetchval(
            "SELECT coalesce(sum(amount), 0) FROM usage_reservation WHERE meter = 'pages'"
        )
        assert await self._used("pages") == states["succeeded"] * RESULT.pages + reserved
        assert await self._used("fields") == states["succeeded"] * RESULT.fields

    async def _used(self, meter: Any) -> float:
        return await used(self._pool, self._organization_id, meter)


@pytest.mark.parametrize("seed", range(4))
async def test_every_history_ends_each_job_once_and_counts_what_succeeded(
    pool: asyncpg.Pool, organization: Tenant, seed: int
) -> None:
    history = History(pool, organization.organization_id, seed)
    for _ in range(STEPS):
        await history.step()
        await history.check()
    assert len(set(history.ended.values())) == len(FINAL)
    assert min(history.steps.values()) > 3
