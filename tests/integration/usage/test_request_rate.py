"""The token bucket in Postgres, shared by all API processes."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from pagemill.errors import TooManyRequests
from pagemill.usage.request_rate import RequestRate, TakenTokens, take_requests
from tests.support.tenants import Tenant

SLOW = 0.001
"""Tokens a second: none comes back during a test."""


async def take(
    pool: asyncpg.Pool, organization: Tenant, batch: int, *, rate: float = SLOW, burst: int = 50
) -> TakenTokens:
    async with pool.acquire() as connection:
        return await take_requests(
            connection, organization.organization_id, rate=rate, burst=burst, batch=batch
        )


async def test_the_bucket_begins_full_and_ends_empty(pool: asyncpg.Pool, organization: Tenant) -> None:
    taken = [(await take(pool, organization, 20)).tokens for _ in range(4)]
    assert taken == [20, 20, 10, 0]


async def test_an_empty_bucket_tells_when_the_next_token_comes(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    await take(pool, organization, 50, rate=0.5)
    refused = await take(pool, organization, 1, rate=0.5)
    assert refused.tokens == 0
    assert 1.0 < refused.wait <= 2.0


async def test_the_bucket_fills_with_time_up_to_the_burst(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    for tenant, seconds, expected in ((organization, 2, 20), (other_organization, 3600, 50)):
        await take(pool, tenant, 50)
        await pool.execute(
            "UPDATE request_allowance SET refilled_time = now() - $2 * interval '1 second' "
            "WHERE organization_id = $1",
            tenant.organization_id,
            seconds,
        )
        assert (await take(pool, tenant, 100, rate=10.0)).tokens == expected


async def test_processes_together_admit_what_the_bucket_holds(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async def borrow(organization_id: str, most: int) -> TakenTokens:
        async with pool.acquire() as connection:
            return await take_requests(connection, organization_id, rate=SLOW, burst=50, batch=most)

    processes = [RequestRate(borrow, batch=4, clock=time.monotonic) for _ in range(3)]

    async def send(process: RequestRate) -> bool:
        try:
            await process.admit(organization.organization_id)
        except TooManyRequests:
            return False
        return True

    sent = await asyncio.gather(*(send(processes[number % 3]) for number in range(150)))
    # Each process may hold a few tokens that nobody asked it for.
    assert 50 - 3 * 3 <= sum(sent) <= 50


async def test_a_clock_that_goes_back_takes_nothing_away(pool: asyncpg.Pool, organization: Tenant) -> None:
    await take(pool, organization, 10)
    await pool.execute("UPDATE request_allowance SET refilled_time = now() + interval '1 hour'")
    assert (await take(pool, organization, 40)).tokens == 40


@pytest.mark.parametrize("burst", [1, 2])
async def test_a_small_bucket(pool: asyncpg.Pool, organization: Tenant, burst: int) -> None:
    assert (await take(pool, organization, 10, burst=burst)).tokens == burst
    assert (await take(pool, organization, 10, burst=burst)).tokens == 0
