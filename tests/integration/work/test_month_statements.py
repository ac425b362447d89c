"""Stored statements of ended months."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import asyncpg

from db.month_statements import list_organizations_without_statement
from pagemill.jobs.schedule import enqueue_scheduled
from pagemill.usage.counting import count_freely
from pagemill.usage.meters import month_before
from pagemill.usage.month_statements import month_statement_of
from pagemill.usage.plan_changes import apply_plans
from pagemill.usage.plan_file import parse_plans
from pagemill.work.month_statements import MONTH_STATEMENT, SETTLING, MonthStatementRunner
from tests.support.schedules import HOUR, schedule_of
from tests.support.tenants import Tenant
from tests.support.working import dispatching, until_ended

PLAN = """
[[plans]]
planId = "las:plan:pro"
version = 1
name = "Pro"
pagePredictions = { price = 0.5 }
"""


async def make_older(pool: asyncpg.Pool) -> None:
    """All organizations were there last month."""
    await pool.execute("UPDATE organization SET created_time = now() - interval '100 days'")


async def missing(pool: asyncpg.Pool) -> list[str]:
    async with pool.acquire() as connection:
        return await list_organizations_without_statement(connection, after="", limit=100)


async def run(pool: asyncpg.Pool) -> list[str]:
    async with pool.acquire() as connection:
        await enqueue_scheduled(connection, schedule_of(MONTH_STATEMENT, HOUR), datetime.now(UTC))
    job_ids = [row["id"] for row in await pool.fetch("SELECT id FROM job WHERE kind = 'month-statement'")]
    async with dispatching(pool, MonthStatementRunner(pool), kinds=(MONTH_STATEMENT,)):
        return await until_ended(pool, *job_ids)


async def test_the_statement_is_stored_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    owner = organization.organization_id
    month = month_before(datetime.now(UTC) - SETTLING)
    await make_older(pool)
    async with pool.acquire() as connection:
        await apply_plans(connection, parse_plans(PLAN), amend=False, dry_run=False)
        await pool.execute("UPDATE organization SET plan_id = 'las:plan:pro:1'")
        last = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        await count_freely(connection, owner, "pages", 8, at=last)
        assert await run(pool) == ["succeeded"]
        assert await missing(pool) == []
        dearer = parse_plans(PLAN.replace("0.5", "5"))
        await apply_plans(connection, dearer, amend=True, dry_run=False)
        await count_freely(connection, owner, "pages", 8, at=last)
        statement = await month_statement_of(connection, owner, month)
    assert (statement.month, statement.total) == (month, Decimal("4.00"))
    assert [(line.name, line.used) for line in statement.lines] == [("pagePredictions", 8)]


async def test_an_organization_of_this_month_has_no_statement_of_the_last(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    assert await missing(pool) == []
    await make_older(pool)
    assert await missing(pool) == [organization.organization_id]
