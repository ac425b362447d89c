"""Waiting for the ends of jobs, also when the listening connection breaks."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import asyncpg
import pytest

from pagemill.jobs.waiting import JobListener
from tests.support.tenants import Tenant
from tests.support.working import dispatching, submit, succeed, until, until_ended


@pytest.fixture
async def listener(pool: asyncpg.Pool) -> AsyncIterator[JobListener]:
    listener = JobListener(pool)
    await listener.start()
    await until_listening(listener)
    yield listener
    await listener.close()


async def until_listening(listener: JobListener) -> None:
    async def listens() -> bool:
        return listener.is_listening

    await until(listens)


async def test_an_end_is_heard_at_once(
    pool: asyncpg.Pool, organization: Tenant, listener: JobListener
) -> None:
    async with dispatching(pool, succeed):
        outcomes = [
            listener.register((await submit(pool, organization.organization_id))[0]) for _ in range(10)
        ]
        await until_ended(pool, *(outcome.job_id for outcome in outcomes))
        assert all(await asyncio.gather(*(listener.wait(outcome, 60.0) for outcome in outcomes)))


async def test_waiting_ends_at_its_deadline_and_can_be_taken_up_again(
    pool: asyncpg.Pool, organization: Tenant, listener: JobListener
) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    outcome = listener.register(job_id)
    assert await listener.wait(outcome, 0.02) is False
    async with dispatching(pool, succeed):
        assert await listener.wait(outcome, 60.0) is True


async def test_missed_ends_are_looked_up_after_a_reconnection(
    pool: asyncpg.Pool, organization: Tenant, listener: JobListener
) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    outcome = listener.register(job_id)
    # One transaction: the job ends, unheard, before the connection is replaced.
    await pool.execute("UPDATE job SET state = 'succeeded', ended_time = now() WHERE id = $1", job_id)
    assert await listener.wait(outcome, 0.05) is False
    await pool.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' "
        "AND datname = current_database()"
    )
    assert await listener.wait(outcome, 60.0) is True


async def test_ends_are_heard_after_a_reconnection(
    pool: asyncpg.Pool, organization: Tenant, listener: JobListener
) -> None:
    for _ in range(3):
        await pool.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        async def deaf() -> bool:
            return not listener.is_listening

        await until(deaf)
        await until_listening(listener)
    async with dispatching(pool, succeed):
        outcome = listener.register((await submit(pool, organization.organization_id))[0])
        assert await listener.wait(outcome, 60.0) is True


async def test_waiters_that_are_gone_leave_nothing_behind(listener: JobListener) -> None:
    outcome = listener.register("some job")
    assert listener.waiting == 1
    del outcome
    gc.collect()
    assert listener.waiting == 0


async def test_a_listener_can_be_started_while_postgres_is_away() -> None:
    from db.pool import create_pool

    pool = await create_pool("postgresql://nobody@127.0.0.1:1/none")
    listener = JobListener(pool)
    await listener.start()
    assert await listener.wait(listener.register("job"), 0.2) is False
    await listener.close()
    pool.terminate()
