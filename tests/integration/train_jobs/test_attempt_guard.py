"""An attempt of a training learns within moments that it no longer counts, and outlives Postgres."""

from __future__ import annotations

import asyncio
import threading

import asyncpg
import pytest

from pagemill.jobs.job import Job
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.work.trainings import TRAINING
from tests.support.seeds import claim_job, seed_model, seed_training
from tests.support.tenants import Tenant
from tests.support.working import until
from train_jobs.attempt_guard import AttemptGuard

NAME = "pagemill attempt guard"
RARELY = 60.0
OFTEN = 0.05


@pytest.fixture
async def job(pool: asyncpg.Pool, organization: Tenant) -> Job:
    """A running training job."""
    own = organization.organization_id
    training_id = await seed_training(pool, own, await seed_model(pool, own), status="running")
    async with pool.acquire() as connection:
        await enqueue(connection, TRAINING, organization_id=own, subject_id=training_id)
    return await claim_job(pool, TRAINING)


async def wait_until_lost(guard: AttemptGuard) -> None:
    async def is_lost() -> bool:
        return guard.is_lost()

    await until(is_lost)


async def connections(pool: asyncpg.Pool) -> list[int]:
    """Return the processes of the guard's connections that have run a statement."""
    rows = await pool.fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND query <> ''", NAME
    )
    return [row["pid"] for row in rows]


async def wait_for_connection(pool: asyncpg.Pool, *, other_than: int = 0) -> int:
    async def found() -> list[int]:
        return [pid for pid in await connections(pool) if pid != other_than]

    await until(found)
    return (await found())[0]


async def test_a_cancelled_job_is_heard_of_at_once(pool: asyncpg.Pool, database_url: str, job: Job) -> None:
    with AttemptGuard(database_url, job, check_seconds=RARELY) as guard:
        await wait_for_connection(pool)
        assert not guard.is_lost()
        async with pool.acquire() as connection:
            await request_cancel(
                connection, TRAINING, organization_id=job.organization_id, subject_id=job.subject_id
            )
        await wait_until_lost(guard)


async def test_a_job_that_was_cancelled_before(pool: asyncpg.Pool, database_url: str, job: Job) -> None:
    async with pool.acquire() as connection:
        await request_cancel(
            connection, TRAINING, organization_id=job.organization_id, subject_id=job.subject_id
        )
    with AttemptGuard(database_url, job, check_seconds=RARELY) as guard:
        await wait_until_lost(guard)


async def test_a_job_that_another_attempt_has_taken_over(
    pool: asyncpg.Pool, database_url: str, job: Job
) -> None:
    with AttemptGuard(database_url, job, check_seconds=OFTEN) as guard:
        await wait_for_connection(pool)
        assert not guard.is_lost()
        await pool.execute("UPDATE job SET attempt = attempt + 1 WHERE id = $1", job.id)
        await wait_until_lost(guard)


async def test_all_checks_share_one_connection(pool: asyncpg.Pool, database_url: str, job: Job) -> None:
    with AttemptGuard(database_url, job, check_seconds=OFTEN) as guard:
        first = await wait_for_connection(pool)
        for _ in range(10):
            await asyncio.sleep(OFTEN)
            assert await connections(pool) == [first]
        assert not guard.is_lost()

    async def is_closed() -> bool:
        return not await connections(pool)

    await until(is_closed)


async def test_a_broken_connection_is_opened_again(pool: asyncpg.Pool, database_url: str, job: Job) -> None:
    with AttemptGuard(database_url, job, check_seconds=RARELY) as guard:
        broken = await wait_for_connection(pool)
        await pool.execute("SELECT pg_terminate_backend($1)", broken)
        await wait_for_connection(pool, other_than=broken)
        assert not guard.is_lost()
        async with pool.acquire() as connection:
            await request_cancel(
                connection, TRAINING, organization_id=job.organization_id, subject_id=job.subject_id
            )
        await wait_until_lost(guard)


async def test_training_goes_on_while_postgres_is_away(job: Job) -> None:
    with AttemptGuard("postgresql://nobody@127.0.0.1:1/none", job, check_seconds=OFTEN) as guard:
        await asyncio.sleep(20 * OFTEN)
        assert not guard.is_lost()


async def test_a_guard_ends_at_once_when_it_is_not_needed(database_url: str, job: Job) -> None:
    with AttemptGuard(database_url, job, check_seconds=RARELY):
        pass
    # One that had to be waited for would be left behind.
    assert "attempt-guard" not in {thread.name for thread in threading.enumerate()}
