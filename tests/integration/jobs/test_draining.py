"""A dispatcher that drains claims nothing more, and what it runs ends where it was begun."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from pagemill.jobs import leases
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.jobs.job import Job
from pagemill.jobs.kind import RunnableKind
from pagemill.jobs.queue import request_cancel
from pagemill.work.predictions import PREDICTION, PredictionResult
from tests.support.tenants import Tenant
from tests.support.working import RESULT, dispatching, job_row, submit, succeed, until, until_ended

DEADLINE = 60.0
LEASE = 2.0
PATIENT = 2.0
"""Heartbeat, and so the longest time for giving jobs back, that a busy machine keeps to."""


class Held:
    """A runner whose jobs end when the test lets them."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let_go = asyncio.Event()

    async def __call__(self, job: Job) -> PredictionResult:
        self.begun.append(job.id)
        await self.let_go.wait()
        return RESULT


@contextlib.asynccontextmanager
async def working(
    pool: asyncpg.Pool, runner: Held, *, lease: float = 5.0, heartbeat: float = 0.05
) -> AsyncIterator[tuple[Dispatcher, asyncio.Task[None]]]:
    """A dispatcher with one slot, and its work, which the test ends."""
    dispatcher = Dispatcher(
        pool,
        [RunnableKind(kind=PREDICTION, run=runner, concurrency=1)],
        owner="the old one",
        lease=lease,
        heartbeat=heartbeat,
        poll=0.05,
    )
    work = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher, work
    finally:
        dispatcher.stop()
        await asyncio.wait_for(work, DEADLINE)


async def begun(runner: Held) -> None:
    async def has_begun() -> bool:
        return bool(runner.begun)

    await until(has_begun)


@pytest.fixture
def held() -> Held:
    return Held()


async def test_a_running_job_ends_where_it_was_begun_and_a_successor_takes_the_next(
    pool: asyncpg.Pool, organization: Tenant, held: Held
) -> None:
    first, _ = await submit(pool, organization.organization_id)
    async with working(pool, held, lease=LEASE) as (dispatcher, work):
        await begun(held)
        dispatcher.drain(None)
        assert dispatcher.is_draining
        second, _ = await submit(pool, organization.organization_id)
        async with dispatching(pool, succeed, lease=LEASE, heartbeat=0.05):
            assert await until_ended(pool, second) == ["succeeded"]
            # The successor reaps what expires, for longer than a lease.
            before = (await job_row(pool, first))["lease_expires"]

            async def renewed() -> bool:
                expires = (await job_row(pool, first))["lease_expires"]
                return bool((expires - before).total_seconds() > 1.2 * LEASE)

            await until(renewed)
            held.let_go.set()
            await asyncio.wait_for(work, DEADLINE)
    row = await job_row(pool, first)
    assert (row["state"], row["attempt"]) == ("succeeded", 1)
    assert held.begun == [first]


async def test_it_ends_at_once_without_a_job(pool: asyncpg.Pool, held: Held) -> None:
    async with working(pool, held) as (dispatcher, work):
        dispatcher.drain(None)
        await asyncio.wait_for(work, DEADLINE)


async def test_after_its_time_it_gives_the_rest_back(
    pool: asyncpg.Pool, organization: Tenant, held: Held
) -> None:
    job_id, _ = await submit(pool, organization.organization_id, maximum_attempts=1)
    async with working(pool, held, lease=600.0, heartbeat=PATIENT) as (dispatcher, work):
        await begun(held)
        dispatcher.drain(0.1)
        await asyncio.wait_for(work, DEADLINE)
    assert (await job_row(pool, job_id))["state"] == "queued"
    async with dispatching(pool, succeed):
        assert await until_ended(pool, job_id) == ["succeeded"]


async def test_it_can_be_told_to_stop_sooner(pool: asyncpg.Pool, organization: Tenant, held: Held) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    async with working(pool, held, heartbeat=PATIENT) as (dispatcher, work):
        await begun(held)
        dispatcher.drain(None)
        dispatcher.stop()
        await asyncio.wait_for(work, DEADLINE)
    assert (await job_row(pool, job_id))["state"] == "queued"


async def test_what_it_still_runs_can_be_cancelled(
    pool: asyncpg.Pool, organization: Tenant, held: Held
) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    async with working(pool, held) as (dispatcher, work):
        await begun(held)
        dispatcher.drain(None)
        async with pool.acquire() as connection:
            await request_cancel(
                connection, PREDICTION, organization_id=organization.organization_id, subject_id=prediction_id
            )
        await asyncio.wait_for(work, DEADLINE)
    assert (await job_row(pool, job_id))["state"] == "cancelled"


async def test_it_takes_over_nothing(pool: asyncpg.Pool, organization: Tenant, held: Held) -> None:
    await submit(pool, organization.organization_id)
    async with working(pool, held) as (dispatcher, work):
        await begun(held)
        dispatcher.drain(None)
        expired, _ = await submit(pool, organization.organization_id)
        async with pool.acquire() as connection:
            await leases.claim(connection, PREDICTION, owner="dead", lease=0.0, limit=1)
        before = (await job_row(pool, held.begun[0]))["lease_expires"]

        async def renewed() -> bool:
            expires = (await job_row(pool, held.begun[0]))["lease_expires"]
            return bool((expires - before).total_seconds() > 0.5)

        await until(renewed)
        row = await job_row(pool, expired)
        assert (row["state"], row["lease_owner"]) == ("running", "dead")
        held.let_go.set()
        await asyncio.wait_for(work, DEADLINE)
