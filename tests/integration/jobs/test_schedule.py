"""Scheduled jobs exist once, for the organizations concerned."""

from __future__ import annotations

import asyncio
import datetime

import asyncpg
import pytest

from pagemill.jobs import job_administration, leases, outcomes, schedule, upkeep
from pagemill.jobs.job import Job
from pagemill.jobs.kind import AnyKind
from pagemill.jobs.queue import request_cancel
from pagemill.jobs.schedule import Schedule, Scheduler, enqueue_scheduled
from pagemill.work.kinds import KINDS
from pagemill.work.object_sweep import OBJECT_SWEEP
from pagemill.work.retention import RETENTION
from tests.support.schedules import HOUR, at, schedule_of
from tests.support.seeds import claim_job, seed_document
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import dispatching, job_row, until

SWEEP = schedule_of(OBJECT_SWEEP, 24 * HOUR)
HOURLY = schedule_of(RETENTION, HOUR)
NOW = at("2026-11-25T13:47:12")
DAY = datetime.timedelta(days=1)


async def enqueue(pool: asyncpg.Pool, which: Schedule, now: datetime.datetime = NOW) -> int:
    async with pool.acquire() as connection:
        return await enqueue_scheduled(connection, which, now)


async def job_ids(pool: asyncpg.Pool) -> list[str]:
    return [row["id"] for row in await pool.fetch("SELECT id FROM job ORDER BY id")]


async def finish(pool: asyncpg.Pool, kind: AnyKind = OBJECT_SWEEP) -> Job:
    job = await claim_job(pool, kind)
    async with pool.acquire() as connection:
        assert await outcomes.finish(connection, OBJECT_SWEEP, job, None)
    return job


async def test_each_organization_has_one_job_a_slot(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    assert await enqueue(pool, SWEEP) == 2
    assert await enqueue(pool, SWEEP) == 0
    await finish(pool)
    await finish(pool)
    assert await enqueue(pool, SWEEP, NOW + datetime.timedelta(hours=9)) == 0
    assert await enqueue(pool, SWEEP, NOW + DAY) == 2
    assert len(await job_ids(pool)) == 4


async def test_concurrent_dispatchers_queue_a_scheduled_job_once(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        for _ in range(20):
            await create_tenant(connection)
    assert sum(await asyncio.gather(*(enqueue(pool, SWEEP) for _ in range(6)))) == 20
    assert len(await job_ids(pool)) == 20


async def test_an_organization_whose_job_is_still_open_gets_no_other(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    await enqueue(pool, SWEEP)
    running = await claim_job(pool, OBJECT_SWEEP)
    assert await enqueue(pool, SWEEP, NOW + DAY) == 0
    async with pool.acquire() as connection:
        await outcomes.finish(connection, OBJECT_SWEEP, running, None)
    assert await enqueue(pool, SWEEP, NOW + DAY) == 1


async def test_many_organizations_are_gone_through_in_parts(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "ORGANIZATION_BATCH_SIZE", 3)
    async with pool.acquire() as connection:
        for _ in range(9):
            await create_tenant(connection)
    assert await enqueue(pool, SWEEP) == 9


async def test_retention_is_queued_for_organizations_with_due_documents(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    await seed_document(pool, other_organization.organization_id)
    due = await seed_document(pool, organization.organization_id)
    assert await enqueue(pool, HOURLY) == 0
    await pool.execute("UPDATE document SET created_time = now() - interval '1826 d' WHERE id = $1", due)
    assert await enqueue(pool, HOURLY) == 1
    row = await pool.fetchrow("SELECT * FROM job")
    assert row["organization_id"] == organization.organization_id
    assert row["subject_id"] == row["id"]


async def test_one_job_makes_up_for_missed_days(pool: asyncpg.Pool, organization: Tenant) -> None:
    await enqueue(pool, SWEEP)
    await finish(pool)
    assert await enqueue(pool, SWEEP, NOW + 5 * DAY) == 1


async def test_a_scheduler_looks_for_organizations_once_a_slot(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    scheduler = Scheduler([schedule_of(OBJECT_SWEEP, 6 * 24 * HOUR)])
    async with pool.acquire() as connection:
        assert await scheduler.enqueue(connection) == 1
        await connection.execute("DELETE FROM job")
        assert await scheduler.enqueue(connection) == 0
        assert await Scheduler([SWEEP]).enqueue(connection) == 1


async def test_a_dispatcher_queues_and_runs_scheduled_jobs(
    pool: asyncpg.Pool, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SCHEDULE_SECONDS", 0.05)
    ran: list[str] = []

    async def runner(job: Job) -> None:
        ran.append(job.organization_id)
        return None

    async def ended() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM job WHERE state = 'succeeded'"))

    async with dispatching(pool, runner, kinds=(OBJECT_SWEEP,), interval=SWEEP.interval):
        await until(ended)
    assert ran == [organization.organization_id]


async def test_housekeeping_can_fail_be_cancelled_and_be_tried_again(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    await enqueue(pool, SWEEP)
    job = await claim_job(pool, OBJECT_SWEEP)
    async with pool.acquire() as connection:
        assert await outcomes.fail(connection, OBJECT_SWEEP, job, RuntimeError("odd"))
        listed = await job_administration.list_jobs(connection, kind="object-sweep")
        assert [(one.state, one.error_class, one.retryable) for one in listed] == [
            ("failed", "RuntimeError", True)
        ]
        assert (await job_administration.retry_job(connection, KINDS, job.id)).state == "queued"
        assert await request_cancel(
            connection, OBJECT_SWEEP, organization_id=organization.organization_id, subject_id=job.id
        )
    assert (await job_row(pool, job.id))["state"] == "cancelled"


async def test_a_lost_scheduled_job_is_taken_over(pool: asyncpg.Pool, organization: Tenant) -> None:
    await enqueue(pool, SWEEP)
    job = await claim_job(pool, OBJECT_SWEEP)
    await pool.execute("UPDATE job SET lease_expires = now() - interval '1 s'")
    async with pool.acquire() as connection:
        assert [requeued.job_id for requeued in await leases.reap(connection, KINDS)] == [job.id]
