"""The waiting jobs of a queue are counted, and only the beginning of a long one."""

from __future__ import annotations

import asyncpg
import pytest

from db.job_reports import list_waiting_jobs
from pagemill.jobs import admission, outcomes
from pagemill.jobs.admission import QueueState, queue_state
from pagemill.jobs.job import BATCH, INTERACTIVE
from pagemill.work.predictions import PREDICTION
from tests.support.plans import most_rows_read
from tests.support.seeds import claim_job
from tests.support.tenants import Tenant
from tests.support.working import RESULT, submit


async def state(pool: asyncpg.Pool) -> QueueState:
    async with pool.acquire() as connection:
        return await queue_state(connection, PREDICTION)


async def test_waiting_jobs_and_their_duration_are_counted(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    assert await state(pool) == QueueState({}, None)
    for seconds in (2, 4):
        await submit(pool, organization.organization_id)
        job = await claim_job(pool, PREDICTION)
        async with pool.acquire() as connection:
            await outcomes.finish(connection, PREDICTION, job, RESULT)
        await pool.execute(
            "UPDATE job SET started_time = ended_time - $2 * interval '1 s' WHERE id = $1",
            job.id,
            float(seconds),
        )
    for priority in (INTERACTIVE, INTERACTIVE, BATCH):
        await submit(pool, organization.organization_id, priority=priority)
    await submit(pool, other_organization.organization_id)
    assert await state(pool) == QueueState(
        {
            organization.organization_id: {INTERACTIVE: 2, BATCH: 1},
            other_organization.organization_id: {INTERACTIVE: 1},
        },
        3.0,
    )


async def test_retried_and_failed_jobs_do_not_count_for_the_duration(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    for _ in range(3):
        await submit(pool, organization.organization_id)
    failed, again = [await claim_job(pool, PREDICTION) for _ in range(2)]
    async with pool.acquire() as connection:
        await outcomes.fail(connection, PREDICTION, failed, RuntimeError("odd"))
        await outcomes.finish(connection, PREDICTION, again, RESULT)
    await pool.execute("UPDATE job SET attempt = 2 WHERE id = $1", again.id)
    assert (await state(pool)).seconds is None


@pytest.mark.parametrize("organizations", [1, 50])
async def test_a_long_queue_is_not_read_to_its_end(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, organizations: int
) -> None:
    await pool.execute(
        """
        INSERT INTO job (id, kind, organization_id, subject_id, payload, state, started_time, ended_time)
        SELECT 'job' || n, 'prediction', 'organization' || n % $2::integer, 'subject' || n, '{}',
            CASE WHEN n % 2 = 0 THEN 'queued' ELSE 'succeeded' END,
            CASE WHEN n % 2 = 1 THEN now() END, CASE WHEN n % 2 = 1 THEN now() END
        FROM generate_series(1, $1::integer) AS n
        """,
        40_000,
        organizations,
    )
    await pool.execute("VACUUM ANALYZE job")
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection,
            list_waiting_jobs,
            kind=PREDICTION.name,
            per_organization=100,
            in_all=1000,
            recent_jobs=200,
        )
    assert read <= 1000 + 200 + 200
    monkeypatch.setattr(admission, "COUNTED_IN_ALL", 60)
    counted = (await state(pool)).waiting
    assert sum(sum(levels.values()) for levels in counted.values()) == 60
