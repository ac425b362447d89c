"""A dispatcher announces what it is; who dies is forgotten, and its slots no longer count."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg

from db.dispatchers import (
    DispatcherRow,
    announce_dispatcher,
    count_slots,
    delete_dead_dispatchers,
    delete_dispatcher,
    list_dispatchers,
)
from pagemill.concurrency import cancel_and_wait
from pagemill.jobs.admission import queue_state
from pagemill.jobs.announcement import Announcer
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.work.predictions import PREDICTION
from tests.support.tenants import Tenant
from tests.support.working import dispatching, submit, succeed, until


async def announced(pool: asyncpg.Pool) -> list[DispatcherRow]:
    async with pool.acquire() as connection:
        return await list_dispatchers(connection)


async def slots(pool: asyncpg.Pool) -> int:
    async with pool.acquire() as connection:
        return await count_slots(connection, kind=PREDICTION.name)


async def announce(
    pool: asyncpg.Pool,
    name: str,
    *,
    owner: str = "owner",
    slots: int = 4,
    draining: bool = False,
    seconds: float = 60.0,
) -> None:
    async with pool.acquire() as connection:
        await announce_dispatcher(
            connection,
            name=name,
            role="interactive",
            release="1",
            owner=owner,
            listening=True,
            draining=draining,
            slots={PREDICTION.name: slots, "other": 100},
            running={},
            seconds=seconds,
        )


@contextlib.asynccontextmanager
async def announcing(pool: asyncpg.Pool, dispatcher: Dispatcher) -> AsyncIterator[Announcer]:
    announcer = Announcer(
        pool=pool, name="one", role="interactive", release="1", owner="owner", interval=0.02
    )
    task = asyncio.create_task(announcer.run(dispatcher))
    try:
        yield announcer
    finally:
        await cancel_and_wait([task])
        await announcer.withdraw()


async def test_a_dispatcher_says_what_it_is_and_does(pool: asyncpg.Pool, organization: Tenant) -> None:
    let_go = asyncio.Event()

    async def runner(_job: object) -> None:
        await let_go.wait()

    await submit(pool, organization.organization_id)
    async with dispatching(pool, runner, limit=3) as dispatcher, announcing(pool, dispatcher):

        async def runs() -> bool:
            return [one.running for one in await announced(pool)] == [{"prediction": 1}]

        await until(runs)
        [row] = await announced(pool)
        assert (row.owner, row.listening, row.draining, row.slots) == (
            "owner",
            True,
            False,
            {"prediction": 3},
        )
        dispatcher.drain(None)

        async def drains() -> bool:
            return [one.draining for one in await announced(pool)] == [True]

        await until(drains)
        let_go.set()
    assert await announced(pool) == []


async def test_while_nothing_can_be_written_the_dispatcher_goes_on(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    await pool.execute("ALTER TABLE dispatcher RENAME TO away")
    async with dispatching(pool, succeed) as dispatcher, announcing(pool, dispatcher):
        await pool.execute("ALTER TABLE away RENAME TO dispatcher")

        async def is_there() -> bool:
            return bool(await announced(pool))

        await until(is_there)


async def test_slots_of_those_that_claim_count(pool: asyncpg.Pool) -> None:
    assert await slots(pool) == 0
    await announce(pool, "one", slots=4)
    await announce(pool, "two", slots=3)
    await announce(pool, "draining", slots=50, draining=True)
    await announce(pool, "dead", slots=60, seconds=-1.0)
    assert await slots(pool) == 7
    await announce(pool, "one", slots=6, owner="started again")
    assert await slots(pool) == 9
    async with pool.acquire() as connection:
        await delete_dispatcher(connection, name="one", owner="owner")
        await delete_dispatcher(connection, name="two", owner="owner")
    assert await slots(pool) == 6


async def test_the_long_dead_are_deleted(pool: asyncpg.Pool) -> None:
    for name, seconds in (("alive", 60.0), ("dead", -60.0), ("long dead", -3601.0)):
        await announce(pool, name, seconds=seconds)
    async with pool.acquire() as connection:
        await delete_dead_dispatchers(connection)
    assert await pool.fetchval("SELECT array_agg(name ORDER BY name) FROM dispatcher") == ["alive", "dead"]


async def test_the_admission_of_jobs_sees_them(pool: asyncpg.Pool) -> None:
    await announce(pool, "one", slots=4)
    await announce(pool, "two", slots=3)
    async with pool.acquire() as connection:
        assert (await queue_state(connection, PREDICTION)).slots == 7
