"""Counters are exact: at their limit, under concurrency, for jobs that are tried again."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import asyncpg
import pytest

from pagemill.errors import LimitExceeded
from pagemill.usage.counting import count, refund, reserve, settle, uncount, usage_of
from pagemill.usage.meters import UNLIMITED, Meter
from tests.support.tenants import Tenant, create_tenant

JOB = "0" * 32


async def tenant_with(pool: asyncpg.Pool, limited_by: str = "pages", **allowed: int) -> str:
    limits = {name.replace("_", "-"): limit for name, limit in allowed.items()}
    async with pool.acquire() as connection:
        return (await create_tenant(connection, allowed=limits, limited_by=limited_by)).organization_id


async def used(pool: asyncpg.Pool, organization_id: str, meter: Meter) -> Decimal:
    async with pool.acquire() as connection:
        return (await usage_of(connection, organization_id)).used[meter]


async def test_concurrent_counts_grant_exactly_the_limit(pool: asyncpg.Pool) -> None:
    organization_id = await tenant_with(pool, documents=10)

    async def attempt() -> bool:
        async with pool.acquire() as connection:
            try:
                await count(connection, organization_id, "documents")
            except LimitExceeded:
                return False
            return True

    granted = await asyncio.gather(*(attempt() for _ in range(64)))
    assert sum(granted) == 10
    assert await used(pool, organization_id, "documents") == 10


async def test_the_first_count_respects_the_limit_too(pool: asyncpg.Pool) -> None:
    organization_id = await tenant_with(pool, documents=0)
    async with pool.acquire() as connection:
        with pytest.raises(LimitExceeded) as caught:
            await count(connection, organization_id, "documents")
    assert caught.value.message == "Limit Exceeded"
    assert caught.value.detail == "The plan's limit of documents is reached"


async def test_a_count_goes_with_its_transaction(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await count(connection, organization.organization_id, "documents")
        await transaction.rollback()
    assert await used(pool, organization.organization_id, "documents") == 0


async def test_totals_never_fall_below_zero(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        await count(connection, organization.organization_id, "models")
        await uncount(connection, organization.organization_id, "models", 5)
        await uncount(connection, organization.organization_id, "models")
    assert await used(pool, organization.organization_id, "models") == 0


async def test_a_new_month_begins_at_zero(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        await count(connection, organization.organization_id, "documents", 7)
        await count(connection, organization.organization_id, "models")
        await connection.execute("UPDATE usage_counter SET month = '2020-01' WHERE meter = 'documents'")
        usage = await usage_of(connection, organization.organization_id)
    assert usage.used["documents"] == 0
    assert usage.used["models"] == 1


async def test_organizations_are_counted_apart(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        await count(connection, organization.organization_id, "documents", 3)
    assert await used(pool, other_organization.organization_id, "documents") == 0


@pytest.mark.parametrize(("limited_by", "free"), [("pages", "fields"), ("fields", "pages")])
async def test_the_plan_says_whether_pages_or_fields_are_limited(
    pool: asyncpg.Pool, limited_by: Meter, free: Meter
) -> None:
    organization_id = await tenant_with(pool, limited_by, pages=1, fields=1)
    async with pool.acquire() as connection:
        await count(connection, organization_id, free, 50)
        with pytest.raises(LimitExceeded):
            await count(connection, organization_id, limited_by, 2)
    assert await used(pool, organization_id, free) == 50


async def test_limits_that_a_plan_does_not_name_are_shown_as_unlimited(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        usage = await usage_of(connection, organization.organization_id)
    assert set(usage.allowed.values()) == {Decimal(UNLIMITED)}


async def test_a_job_that_is_tried_again_is_granted_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        for _ in range(3):
            await reserve(connection, organization.organization_id, JOB, {"pages": 4, "fields": 2})
        await settle(connection, organization.organization_id, JOB)
    assert await used(pool, organization.organization_id, "pages") == 4
    assert await used(pool, organization.organization_id, "fields") == 2


async def test_a_failed_job_gives_back_what_it_was_granted(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        await count(connection, organization.organization_id, "pages", 10)
        await reserve(connection, organization.organization_id, JOB, {"pages": 4})
        await refund(connection, organization.organization_id, JOB)
        await refund(connection, organization.organization_id, JOB)
    assert await used(pool, organization.organization_id, "pages") == 10


async def test_a_reservation_that_does_not_fit_grants_nothing(pool: asyncpg.Pool) -> None:
    organization_id = await tenant_with(pool, pages=3)
    async with pool.acquire() as connection:
        with pytest.raises(LimitExceeded):
            await reserve(connection, organization_id, JOB, {"fields": 1, "pages": 4})
        assert await connection.fetchval("SELECT count(*) FROM usage_reservation") == 0
    assert await used(pool, organization_id, "fields") == 0


async def test_settling_keeps_a_late_refund_from_giving_back(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        await reserve(connection, organization.organization_id, JOB, {"pages": 4})
        await settle(connection, organization.organization_id, JOB)
        await refund(connection, organization.organization_id, JOB)
    assert await used(pool, organization.organization_id, "pages") == 4
