"""Counters are exact: at their limit, under concurrency, for jobs that are tried again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from pagemill.errors import LimitExceeded
from pagemill.usage.counting import (
    JobEnded,
    JobOf,
    count,
    count_active_model,
    count_freely,
    refund,
    reserve,
    settle,
    uncount,
    usage_of,
)
from pagemill.usage.meters import METERS, UNLIMITED, Meter
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import submit, used

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
async def test_no_nonsense_is_counted(pool: asyncpg.Pool, organization: Tenant, amount: float) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(ValueError, match="cannot count"):
            await count(connection, organization.organization_id, "documents", amount)


async def test_a_model_is_active_once_a_month(pool: asyncpg.Pool, organization: Tenant) -> None:
    organization_id = organization.organization_id

    async def use(model_id: str, at: datetime) -> None:
        async with pool.acquire() as connection:
            await count_active_model(connection, organization_id, model_id, at=at)

    await asyncio.gather(*(use(f"las:model:{number % 3}", APRIL) for number in range(24)))
    await use("las:model:0", MARCH)
    async with pool.acquire() as connection:
        assert (await usage_of(connection, organization_id, at=APRIL)).used["active-models"] == 3
        assert (await usage_of(connection, organization_id, at=MARCH)).used["active-models"] == 1


async def test_a_job_that_is_tried_again_reserves_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    organization_id = organization.organization_id
    job_id, _ = await submit(pool, organization_id)

    async def ask() -> None:
        async with pool.acquire() as connection:
            await reserve(connection, organization_id, job_id, {"pages": 4, "fields": 2})

    await asyncio.gather(*(ask() for _ in range(8)))
    assert await used(pool, organization_id, "pages") == 4
    assert await used(pool, organization_id, "fields") == 2


async def test_a_failed_job_gives_back_what_it_reserved_and_no_more(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
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


async def test_a_reservation_that_does_not_fit_leaves_nothing(pool: asyncpg.Pool) -> None:
    organization_id = await tenant_with(pool, pages=3)
    job_id, _ = await submit(pool, organization_id)
    async with pool.acquire() as connection:
        with pytest.raises(LimitExceeded):
            await reserve(connection, organization_id, job_id, {"fields": 1, "pages": 4})
        await reserve(connection, organization_id, job_id, {"fields": 1, "pages": 3})
    assert await used(pool, organization_id, "fields") == 1
    assert await used(pool, organization_id, "pages") == 3


async def test_nothing_is_reserved_for_foreign_unknown_and_ended_jobs(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        with pytest.raises(JobEnded):
            await reserve(connection, other_organization.organization_id, job_id, {"pages": 1})
        with pytest.raises(JobEnded):
            await reserve(connection, organization.organization_id, "unknown", {"pages": 1})
        await connection.execute("UPDATE job SET state = 'failed' WHERE id = $1", job_id)
        with pytest.raises(JobEnded):
            await reserve(connection, organization.organization_id, job_id, {"pages": 1})
    assert await used(pool, organization.organization_id, "pages") == 0


async def test_a_job_cannot_end_between_the_look_and_the_reservation(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection, pool.acquire() as other, connection.transaction():
        await reserve(connection, organization.organization_id, job_id, {"pages": 1})
        with pytest.raises(TimeoutError):
            await other.execute("UPDATE job SET state = 'failed' WHERE id = $1", job_id, timeout=0.2)


@pytest.mark.parametrize(("reserved", "really"), [(4, 4), (4, 1), (1, 4), (None, 4)])
async def test_settling_makes_the_count_what_was_really_used(
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
