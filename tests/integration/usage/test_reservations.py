"""Reservations of jobs: granted once, settled or refunded in their own month."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from pagemill.errors import LimitExceeded
from pagemill.usage.counting import count
from pagemill.usage.meters import Meter
from pagemill.usage.organization_usage import usage_of
from pagemill.usage.reservations import JobOf, refund, reserve, settle
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import submit, used

MARCH = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)


async def tenant_allowing(pool: asyncpg.Pool, allowed: dict[str, float]) -> Tenant:
    async with pool.acquire() as connection:
        return await create_tenant(connection, allowed=allowed)


async def test_a_job_that_is_tried_again_reserves_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    organization_id = organization.organization_id
    job_id, _ = await submit(pool, organization_id)

    async def ask() -> None:
        async with pool.acquire() as connection:
            await reserve(connection, organization_id, job_id, {"pages": 4, "fields": 2})

    await asyncio.gather(*(ask() for _ in range(8)))
    assert await used(pool, organization_id, "pages") == 4
    assert await used(pool, organization_id, "fields") == 2


async def test_a_failed_job_is_refunded_exactly_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    organization_id = organization.organization_id
    job_id, _ = await submit(pool, organization_id)
    async with pool.acquire() as connection:
        await count(connection, organization_id, "pages", 10)
        await reserve(connection, organization_id, job_id, {"pages": 4})
        await refund(connection, organization_id, job_id)
        await refund(connection, organization_id, job_id)
    assert await used(pool, organization_id, "pages") == 10
    assert await used(pool, organization_id, "predictions") == 0


async def test_a_refund_goes_to_the_month_of_the_reservation(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    organization_id = organization.organization_id
    job_id, _ = await submit(pool, organization_id)
    async with pool.acquire() as connection:
        await reserve(connection, organization_id, job_id, {"pages": 4}, at=MARCH)
        await count(connection, organization_id, "pages", 1, at=APRIL)
        await refund(connection, organization_id, job_id)
        assert (await usage_of(connection, organization_id, at=MARCH)).used["pages"] == 0
        assert (await usage_of(connection, organization_id, at=APRIL)).used["pages"] == 1


async def test_a_reservation_that_does_not_fit_is_rolled_back(pool: asyncpg.Pool) -> None:
    organization_id = (await tenant_allowing(pool, {"pages": 3})).organization_id
    job_id, _ = await submit(pool, organization_id)
    async with pool.acquire() as connection:
        with pytest.raises(LimitExceeded):
            async with connection.transaction():
                await reserve(connection, organization_id, job_id, {"fields": 1, "pages": 4})
        await reserve(connection, organization_id, job_id, {"fields": 1, "pages": 3})
    assert await used(pool, organization_id, "fields") == 1
    assert await used(pool, organization_id, "pages") == 3


@pytest.mark.parametrize(("reserved", "really"), [(4, 4), (4, 1), (1, 4), (None, 4)])
async def test_settling_counts_what_was_used(
    pool: asyncpg.Pool, organization: Tenant, reserved: int | None, really: int
) -> None:
    organization_id = organization.organization_id
    job_id, _ = await submit(pool, organization_id)
    async with pool.acquire() as connection:
        await count(connection, organization_id, "pages", 10)
        if reserved is not None:
            await reserve(connection, organization_id, job_id, {"pages": reserved})
        await settle(connection, {JobOf(organization_id, job_id): {"pages": really}})
        await refund(connection, organization_id, job_id)
    assert await used(pool, organization_id, "pages") == 10 + really
    assert await used(pool, organization_id, "predictions") == 1


async def test_opposite_orders_of_meters_do_not_deadlock(pool: asyncpg.Pool, organization: Tenant) -> None:
    organization_id = organization.organization_id
    jobs = [(await submit(pool, organization_id))[0] for _ in range(32)]
    orders: tuple[dict[Meter, float], dict[Meter, float]] = (
        {"pages": 1, "fields": 1},
        {"fields": 1, "pages": 1},
    )

    async def ask(number: int, job_id: str) -> None:
        async with pool.acquire() as connection:
            await reserve(connection, organization_id, job_id, orders[number % 2])

    await asyncio.gather(*(ask(number, job_id) for number, job_id in enumerate(jobs)))
    assert await used(pool, organization_id, "pages") == 32
