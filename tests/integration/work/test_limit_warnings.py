"""Owners are warned once a month of each limit that comes close."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from db.limit_warnings import list_organizations_near_limits
from pagemill.api.auth.seeded_roles import ADMIN
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.schedule import enqueue_scheduled
from pagemill.usage.counting import count_freely, uncount
from pagemill.usage.meters import Meter
from pagemill.work.limit_warnings import LIMIT_WARNINGS, LimitWarningRunner
from tests.support.mailed import mailed, set_mail
from tests.support.people import add_user
from tests.support.schedules import at, schedule_of
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import dispatching, until_ended

WARNINGS = schedule_of(LIMIT_WARNINGS, 300.0)


async def limited(
    pool: asyncpg.Pool, *, owner: bool = True, limited_by: str = "pages", **allowed: float
) -> Tenant:
    named = {meter.replace("_", "-"): limit for meter, limit in allowed.items()}
    async with pool.acquire() as connection:
        tenant = await create_tenant(connection, allowed=named, limited_by=limited_by)
        if owner:
            await add_user(connection, tenant.organization_id, role_ids=[ADMIN])
    return tenant


async def use(pool: asyncpg.Pool, tenant: Tenant, meter: Meter, amount: float) -> None:
    async with pool.acquire() as connection:
        await count_freely(connection, tenant.organization_id, meter, amount)


async def warn(pool: asyncpg.Pool, minute: int = 0) -> list[list[tuple[str, int]]]:
    """What is told after one slot of the schedule, mail by mail."""
    before = len(await mailed(pool))
    async with pool.acquire() as connection:
        await enqueue_scheduled(connection, WARNINGS, at(f"2026-11-25T13:{minute:02}:00"))
    jobs = [row["id"] for row in await pool.fetch("SELECT id FROM job WHERE kind = 'limit-warnings'")]
    async with dispatching(pool, LimitWarningRunner(pool), kinds=(LIMIT_WARNINGS,)):
        assert set(await until_ended(pool, *jobs)) <= {"succeeded"}
    return [
        [(meter["meter"], meter["threshold"]) for meter in mail["meters"]]
        for mail in (await mailed(pool))[before:]
    ]


async def near(pool: asyncpg.Pool) -> set[str]:
    async with pool.acquire() as connection:
        return set(await list_organizations_near_limits(connection, after="", limit=100))


async def test_each_threshold_is_told_once(pool: asyncpg.Pool) -> None:
    await set_mail(pool)
    tenant = await limited(pool, pages=10)
    await use(pool, tenant, "pages", 7.99)
    assert await warn(pool, 0) == []
    await use(pool, tenant, "pages", 0.01)
    assert await warn(pool, 5) == [[("pages", 80)]]
    assert await warn(pool, 10) == []
    await use(pool, tenant, "pages", 2)
    assert await warn(pool, 15) == [[("pages", 100)]]
    await use(pool, tenant, "pages", 2)
    async with pool.acquire() as connection:
        await uncount(connection, tenant.organization_id, "pages", 12)
        await count_freely(connection, tenant.organization_id, "pages", 12)
    assert await warn(pool, 20) == []
    (first, _) = await mailed(pool)
    assert first["meters"] == [{"meter": "pages", "threshold": 80, "used": 8.0, "allowed": 10}]


async def test_of_several_meters_one_mail_and_of_several_thresholds_the_highest(pool: asyncpg.Pool) -> None:
    await set_mail(pool)
    tenant = await limited(pool, predictions=10, gpu_hours=2, documents=5, users=1)
    for meter, amount in (("predictions", 10), ("gpu-hours", 1.7), ("documents", 1)):
        await use(pool, tenant, meter, amount)  # type: ignore[arg-type]
    assert await warn(pool) == [[("gpu-hours", 80), ("predictions", 100), ("users", 100)]]
    assert await warn(pool, 5) == []


async def test_meters_without_a_limit_are_not_warned_of(pool: asyncpg.Pool) -> None:
    await set_mail(pool)
    tenant = await limited(
        pool, pages=1, fields=1, documents=0, assets=2_000_000_000, limited_by="fields", datasets=5
    )
    for meter in ("pages", "documents", "assets", "predictions"):
        await use(pool, tenant, meter, 2_000_000_000)  # type: ignore[arg-type]
    assert await near(pool) == set()
    await use(pool, tenant, "fields", 1)
    assert await near(pool) == {tenant.organization_id}
    assert await warn(pool) == [[("fields", 100)]]


async def test_a_new_month_is_told_anew(pool: asyncpg.Pool) -> None:
    await set_mail(pool)
    tenant = await limited(pool, pages=10)
    await use(pool, tenant, "pages", 10)
    await warn(pool)
    await pool.execute("UPDATE limit_warning SET month = '2020-01'")
    assert await warn(pool, 5) == [[("pages", 100)]]
    months = await pool.fetch("SELECT DISTINCT month FROM limit_warning")
    assert len(months) == 1
    assert months[0]["month"] > "2020-01"


async def test_without_anybody_to_tell_nothing_is_told_and_nothing_is_done(pool: asyncpg.Pool) -> None:
    tenant = await limited(pool, pages=1)
    lonely = await limited(pool, pages=1, owner=False)
    for one in (tenant, lonely):
        await use(pool, one, "pages", 1)
    assert await near(pool) == set()
    await set_mail(pool)
    assert await near(pool) == {tenant.organization_id}
    await warn(pool)
    assert await near(pool) == set()
    async with pool.acquire() as connection:
        await add_user(connection, lonely.organization_id, role_ids=[ADMIN])
    assert await near(pool) == {lonely.organization_id}


async def test_a_job_that_is_run_twice_tells_once(pool: asyncpg.Pool) -> None:
    await set_mail(pool)
    tenant = await limited(pool, pages=1)
    await use(pool, tenant, "pages", 1)
    await pool.execute(
        """
        INSERT INTO job (id, kind, organization_id, subject_id, state, attempt, lease_expires)
        VALUES ('one', 'limit-warnings', $1, 'one', 'running', 1, now() + interval '1 hour')
        """,
        tenant.organization_id,
    )
    job = Job("one", "limit-warnings", tenant.organization_id, "one", {}, 1, 5)
    runs: list[Any] = [LimitWarningRunner(pool)(job) for _ in range(4)]
    await asyncio.gather(*runs)
    assert len(await mailed(pool)) == 1
    with pytest.raises(JobCancelled):
        await LimitWarningRunner(pool)(Job("one", "limit-warnings", tenant.organization_id, "one", {}, 2, 5))
