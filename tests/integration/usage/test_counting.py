"""Counts are exact: at their limit, and under concurrency."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from pagemill.errors import LimitExceeded
from pagemill.usage.counting import count, count_freely, uncount
from pagemill.usage.limits import UNLIMITED
from pagemill.usage.meters import METERS, Meter
from pagemill.usage.organization_usage import usage_of
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import used

MARCH = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)


async def tenant_with(pool: asyncpg.Pool, limited_by: str = "pages", **allowed: float) -> str:
    limits = {name.replace("_", "-"): limit for name, limit in allowed.items()}
    async with pool.acquire() as connection:
        return (await create_tenant(connection, allowed=limits, limited_by=limited_by)).organization_id


async def granted(pool: asyncpg.Pool, organization_id: str, meter: Meter, amount: float = 1) -> bool:
    async with pool.acquire() as connection:
        try:
            await count(connection, organization_id, meter, amount)
        except LimitExceeded:
            return False
    return True


async def test_concurrent_counts_grant_exactly_the_limit(pool: asyncpg.Pool) -> None:
    organization_id = await tenant_with(pool, documents=10)
    answers = await asyncio.gather(*(granted(pool, organization_id, "documents") for _ in range(64)))
    assert sum(answers) == 10
    assert await used(pool, organization_id, "documents") == 10


async def test_the_first_count_respects_the_limit_too(pool: asyncpg.Pool) -> None:
    organization_id = await tenant_with(pool, documents=0)
    async with pool.acquire() as connection:
        with pytest.raises(LimitExceeded) as caught:
            await count(connection, organization_id, "documents")
    assert caught.value.message == "Limit Exceeded"
    assert caught.value.detail == "the plan allows no more documents"


async def test_a_count_that_does_not_fit_counts_nothing(pool: asyncpg.Pool) -> None:
    organization_id = await tenant_with(pool, documents=10)
    assert await granted(pool, organization_id, "documents", 7)
    assert not await granted(pool, organization_id, "documents", 4)
    assert await granted(pool, organization_id, "documents", 3)


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


async def test_concurrent_uncounts_stop_at_zero(pool: asyncpg.Pool, organization: Tenant) -> None:
    async def give_back() -> None:
        async with pool.acquire() as connection:
            await uncount(connection, organization.organization_id, "models")

    async with pool.acquire() as connection:
        await count(connection, organization.organization_id, "models", 5)
    await asyncio.gather(*(give_back() for _ in range(16)))
    assert await used(pool, organization.organization_id, "models") == 0


async def test_a_new_month_begins_at_zero_and_totals_go_on(pool: asyncpg.Pool) -> None:
    organization_id = await tenant_with(pool, documents=2, models=2)
    async with pool.acquire() as connection:
        await count(connection, organization_id, "documents", 2, at=MARCH)
        await count(connection, organization_id, "models", 2, at=MARCH)
        await count(connection, organization_id, "documents", 1, at=APRIL)
        with pytest.raises(LimitExceeded):
            await count(connection, organization_id, "models", 1, at=APRIL)
        march = await usage_of(connection, organization_id, at=MARCH)
        april = await usage_of(connection, organization_id, at=APRIL)
    assert (march.used["documents"], march.used["models"]) == (2, 2)
    assert (april.used["documents"], april.used["models"]) == (1, 2)


async def test_organizations_are_counted_apart(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        await count(connection, organization.organization_id, "documents", 3)
        await uncount(connection, other_organization.organization_id, "documents", 3)
    assert await used(pool, organization.organization_id, "documents") == 3
    assert await used(pool, other_organization.organization_id, "documents") == 0


@pytest.mark.parametrize(("limited_by", "free"), [("pages", "fields"), ("fields", "pages")])
async def test_the_plan_says_whether_pages_or_fields_are_limited(
    pool: asyncpg.Pool, limited_by: Meter, free: Meter
) -> None:
    organization_id = await tenant_with(pool, limited_by, pages=1, fields=1)
    assert await granted(pool, organization_id, free, 50)
    assert await granted(pool, organization_id, free, 50)
    assert not await granted(pool, organization_id, limited_by, 2)
    assert await used(pool, organization_id, free) == 100


async def test_a_plan_is_unlimited_in_what_it_does_not_name(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        usage = await usage_of(connection, organization.organization_id)
        unknown = await usage_of(connection, "las:organization:unknown")
    assert usage.allowed == dict.fromkeys(METERS, UNLIMITED)
    assert unknown.allowed == usage.allowed
    assert unknown.used == dict.fromkeys(METERS, 0)
    assert usage.used == unknown.used | {"app-clients": 1}
    assert not await granted(pool, organization.organization_id, "documents", UNLIMITED + 1)


async def test_fractions_add_up(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        for _ in range(10):
            await count_freely(connection, organization.organization_id, "gpu-hours", 0.1)
    assert await used(pool, organization.organization_id, "gpu-hours") == 1.0


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf")])
async def test_invalid_amounts_are_refused(pool: asyncpg.Pool, organization: Tenant, amount: float) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(ValueError, match="cannot count"):
            await count(connection, organization.organization_id, "documents", amount)
