"""Codes in the database: bounded, used once, and forgotten."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from db.one_time_codes import Purpose
from pagemill.people.one_time_codes import RULES, make_code, order_code, try_code, use_code

EMAIL = "ada@example.com"


async def new_code(pool: asyncpg.Pool, purpose: Purpose = "recover", email: str = EMAIL) -> str:
    async with pool.acquire() as connection:
        code_id = await order_code(connection, purpose, email)
        assert code_id is not None
        code = await make_code(connection, code_id, purpose, email)
    assert code is not None
    return code


@pytest.mark.parametrize("purpose", ["recover", "verify", "invite"])
async def test_a_code_is_for_its_purpose_and_address(pool: asyncpg.Pool, purpose: Purpose) -> None:
    code = await new_code(pool, purpose)
    async with pool.acquire() as connection:
        for other in RULES:
            found = await try_code(connection, other, EMAIL, code)
            assert (found is not None) == (other == purpose)
        assert await try_code(connection, purpose, "eve@example.com", code) is None


async def test_one_that_was_not_sent_yet_is_none(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        assert await order_code(connection, "recover", EMAIL) is not None
        assert await try_code(connection, "recover", EMAIL, "") is None


async def test_of_two_who_use_it_one_does(pool: asyncpg.Pool) -> None:
    code = await new_code(pool)
    async with pool.acquire() as connection:
        proven = await try_code(connection, "recover", EMAIL, code)
    assert proven is not None

    async def use() -> bool:
        async with pool.acquire() as own, own.transaction():
            return await use_code(own, proven)

    assert sorted(await asyncio.gather(use(), use())) == [False, True]
    async with pool.acquire() as connection:
        assert await try_code(connection, "recover", EMAIL, code) is None


async def test_wrong_tries_end_a_code(pool: asyncpg.Pool) -> None:
    code = await new_code(pool)
    async with pool.acquire() as connection:
        for _ in range(RULES["recover"].tries - 1):
            assert await try_code(connection, "recover", EMAIL, "wrong") is None
        assert await try_code(connection, "recover", EMAIL, code) is not None
        assert await try_code(connection, "recover", EMAIL, code) is None


async def test_strangers_do_not_end_an_invitation(pool: asyncpg.Pool) -> None:
    code = await new_code(pool, "invite")
    async with pool.acquire() as connection:
        for _ in range(50):
            await try_code(connection, "invite", EMAIL, "wrong")
        assert await try_code(connection, "invite", EMAIL, code) is not None


async def test_an_address_gets_few_in_an_hour(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        orders = [await order_code(connection, "recover", EMAIL) for _ in range(RULES["recover"].hourly + 1)]
        assert [one is None for one in orders] == [False] * RULES["recover"].hourly + [True]
        assert await order_code(connection, "recover", "eve@example.com") is not None
        assert await order_code(connection, "verify", EMAIL) is not None


async def test_all_addresses_together_get_few_in_a_day(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        orders = [
            await order_code(connection, "verify", f"{number}@example.com", most_a_day=3)
            for number in range(4)
        ]
        assert [one is None for one in orders] == [False] * 3 + [True]
        assert await order_code(connection, "recover", EMAIL, most_a_day=3) is not None


async def test_codes_of_yesterday_are_forgotten(pool: asyncpg.Pool) -> None:
    for number in range(3):
        await new_code(pool, "verify", f"{number}@example.com")
    await pool.execute("UPDATE one_time_code SET expires_time = now() - interval '25 hours'")
    await new_code(pool)
    assert await pool.fetchval("SELECT count(*) FROM one_time_code") == 1
