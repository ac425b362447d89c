"""Figures of jobs for operators: each attempt is counted once, by whoever sees how it ends."""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import pytest

from pagemill.errors import BadRequest
from pagemill.jobs import backoff
from pagemill.jobs.job import Job, KindName, WorkerLost
from pagemill.jobs.observer import AttemptOutcome
from pagemill.jobs.queue import request_cancel
from pagemill.work.predictions import PREDICTION, PredictionResult
from tests.support.tenants import Tenant
from tests.support.working import RESULT, dispatching, job_row, submit, succeed, until, until_ended


class Counts:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.outcomes: Counter[AttemptOutcome] = Counter()
        self.kinds: set[KindName] = set()
        self.waited: list[float] = []
        self.seconds: list[float] = []

    def claimed(self, kind: KindName, waited: float) -> None:
        self.kinds.add(kind)
        self.waited.append(waited)

    def ran(self, kind: KindName, seconds: float) -> None:
        self.kinds.add(kind)
        self.seconds.append(seconds)

    def ended(self, kind: KindName, outcome: AttemptOutcome) -> None:
        self.kinds.add(kind)
        self.outcomes[outcome] += 1


@pytest.fixture
def counts() -> Counts:
    return Counts()


class Failing:
    """A runner that raises these errors in turn, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def __call__(self, _job: Job) -> PredictionResult:
        if self._errors:
            raise self._errors.pop(0)
        return RESULT


async def work_for_ever(_job: Job) -> PredictionResult:
    await asyncio.Event().wait()
    return RESULT


async def test_the_wait_and_the_time_of_a_job_are_told(
    pool: asyncpg.Pool, organization: Tenant, counts: Counts
) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    await pool.execute("UPDATE job SET run_after = run_after - interval '1 minute'")
    async with dispatching(pool, succeed, observer=counts):
        await until_ended(pool, job_id)
    assert counts.kinds == {"prediction"}
    assert (counts.outcomes, len(counts.seconds)) == ({"succeeded": 1}, 1)
    [waited] = counts.waited
    assert 60.0 <= waited < 120.0
    assert 0.0 < counts.seconds[0] < 60.0


@pytest.mark.parametrize(
    ("error", "outcomes"),
    [
        (BadRequest("no"), {"failed": 1}),
        (RuntimeError("odd"), {"retried": 1, "succeeded": 1}),
        (WorkerLost("dead"), {"retried": 1, "succeeded": 1}),
    ],
)
async def test_attempts_that_fail_are_told_by_what_follows(
    pool: asyncpg.Pool,
    organization: Tenant,
    counts: Counts,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    outcomes: dict[str, int],
) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.02)
    job_id, _ = await submit(pool, organization.organization_id)
    async with dispatching(pool, Failing(error), observer=counts):
        await until_ended(pool, job_id)
    assert counts.outcomes == outcomes


async def test_a_job_that_is_given_up_with_its_worker_is_lost(
    pool: asyncpg.Pool, organization: Tenant, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.02)
    job_id, _ = await submit(pool, organization.organization_id)
    async with dispatching(pool, Failing(WorkerLost("dead"), WorkerLost("dead")), observer=counts):
        assert await until_ended(pool, job_id) == ["failed"]
    assert counts.outcomes == {"retried": 1, "lost": 1}


async def test_a_cancelled_job_is_told_once(pool: asyncpg.Pool, organization: Tenant, counts: Counts) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    async with dispatching(pool, work_for_ever, observer=counts):

        async def runs() -> bool:
            return bool(counts.waited)

        await until(runs)
        async with pool.acquire() as connection:
            await request_cancel(
                connection,
                PREDICTION,
                organization_id=organization.organization_id,
                subject_id=prediction_id,
            )
        assert await until_ended(pool, job_id) == ["cancelled"]
    assert counts.outcomes == {"cancelled": 1}


async def test_jobs_that_are_given_back_are_told_by_who_gives_them_back(
    pool: asyncpg.Pool, organization: Tenant, counts: Counts
) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    async with dispatching(pool, work_for_ever, observer=counts):

        async def runs() -> bool:
            return (await job_row(pool, job_id))["state"] == "running"

        await until(runs)
    assert counts.outcomes == {"retried": 1}


async def test_a_dead_dispatchers_jobs_are_told_by_who_takes_them_over(
    pool: asyncpg.Pool, organization: Tenant, counts: Counts
) -> None:
    job_ids = [(await submit(pool, organization.organization_id))[0] for _ in range(3)]
    again, lost, cancelled = job_ids
    await pool.execute(
        """
        UPDATE job SET state = 'running', attempt = 1, lease_owner = 'dead', lease_expires = now(),
            lost_workers = CASE WHEN id = $1 THEN 1 ELSE 0 END, cancel_requested = id = $2
        """,
        lost,
        cancelled,
    )
    async with dispatching(pool, succeed, observer=counts):
        states = await until_ended(pool, again, lost, cancelled, seconds=60)
    assert states == ["succeeded", "failed", "cancelled"]
    assert counts.outcomes == {"retried": 1, "succeeded": 1, "lost": 1, "cancelled": 1}
    assert len(counts.seconds) == 1


async def test_a_late_worker_tells_nothing(pool: asyncpg.Pool, organization: Tenant, counts: Counts) -> None:
    async def overtaken(job: Job) -> PredictionResult:
        await pool.execute("UPDATE job SET attempt = attempt + 1 WHERE id = $1", job.id)
        return RESULT

    job_id, _ = await submit(pool, organization.organization_id)
    async with dispatching(pool, overtaken, observer=counts, heartbeat=1.0) as dispatcher:

        async def is_over() -> bool:
            return (await job_row(pool, job_id))["attempt"] > 1 and not dispatcher.running

        await until(is_over)
    assert counts.outcomes == {}
