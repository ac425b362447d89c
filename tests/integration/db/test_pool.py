"""Tests of acquiring connections of a pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from db import pool as pools
from db.pool import CONNECTION_ERRORS, PoolExhausted, acquire, create_pool


@pytest.fixture
async def small_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool of one connection."""
    pool = await create_pool(database_url, size=1)
    yield pool
    await pool.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let nobody wait for a connection any more; opening one may have taken long."""
    return lambda: monkeypatch.setattr(pools, "ACQUIRE_SECONDS", 0.05)


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """The time limits of all acquisitions."""
    limits: list[float | None] = []
    original = asyncpg.Pool.acquire

    def record(pool: asyncpg.Pool, *, timeout: float | None = None) -> object:
        limits.append(timeout)
        return original(pool, timeout=timeout)

    monkeypatch.setattr(asyncpg.Pool, "acquire", record)
    return limits


async def test_exhausted_pool_is_reported(small_pool: asyncpg.Pool, impatient: Callable[[], None]) -> None:
    async with acquire(small_pool) as connection:
        impatient()
        assert await connection.fetchval("SELECT 1") == 1
        with pytest.raises(PoolExhausted, match="in use"):
            async with acquire(small_pool):
                pass
        with pytest.raises(PoolExhausted, match="in use"):
            await acquire(small_pool)
    connection = await acquire(small_pool)
    assert await connection.fetchval("SELECT 1") == 1
    await small_pool.release(connection)


async def test_connection_is_free_again_after_an_error(small_pool: asyncpg.Pool) -> None:
    with pytest.raises(ZeroDivisionError):
        async with acquire(small_pool):
            raise ZeroDivisionError
    async with acquire(small_pool) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_timeout_of_the_body_is_no_exhausted_pool(small_pool: asyncpg.Pool) -> None:
    with pytest.raises(TimeoutError):
        async with acquire(small_pool) as connection:
            await asyncio.wait_for(connection.execute("SELECT pg_sleep(10)"), 0.05)


async def test_pool_that_cannot_connect_is_not_called_exhausted(
    small_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, impatient: Callable[[], None]
) -> None:
    impatient()

    async def hang(*_arguments: object, **_options: object) -> None:
        await asyncio.sleep(10)

    monkeypatch.setattr(asyncpg.Pool, "_get_new_connection", hang)
    with pytest.raises(TimeoutError):
        await acquire(small_pool)


async def test_idle_connection_needs_no_timer(small_pool: asyncpg.Pool, timers: list[float | None]) -> None:
    async with acquire(small_pool):
        pass
    async with acquire(small_pool):
        pass
    assert timers == [pools.ACQUIRE_SECONDS, None]


def test_exhausted_pool_is_a_connection_error() -> None:
    assert issubclass(PoolExhausted, CONNECTION_ERRORS)
