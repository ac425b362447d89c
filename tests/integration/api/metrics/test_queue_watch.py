"""Postgres is asked rarely, not for long, and on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from pagemill.api.metrics import queue_watch as module
from pagemill.api.metrics.queue_watch import KEPT_SECONDS, QueueFigures, QueueWatch
from pagemill.stack.postgres import free_port
from tests.support.running import eventually
from tests.support.tenants import Tenant

ASKING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1"


class Clock:
    """A clock that stands."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(database_url: str, clock: Clock) -> Iterator[QueueWatch]:
    watch = QueueWatch(database_url, clock=clock)
    yield watch
    watch.close()


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port where somebody listens who never answers."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    for writer in writers:
        writer.transport.abort()
    server.close()


async def queue_job(
    pool: asyncpg.Pool, organization: Tenant, number: int, *, age: int = 0, due: int = 0
) -> None:
    await pool.execute(
        """
        INSERT INTO job (id, kind, organization_id, subject_id, created_time, run_after)
        VALUES ('job' || $1::integer, 'mail', $2, 'subject', now() - $3::integer * interval '1 s',
            now() + $4::integer * interval '1 s')
        """,
        number,
        organization.organization_id,
        age,
        due,
    )


async def test_jobs_that_may_run_are_counted(
    watch: QueueWatch, pool: asyncpg.Pool, organization: Tenant
) -> None:
    await queue_job(pool, organization, 1, age=60)
    await queue_job(pool, organization, 2)
    await queue_job(pool, organization, 3, due=3600)

    found = await watch.latest()

    assert found is not None
    assert (found.waiting, found.running) == ({"mail": 2}, {})
    assert 60 <= found.oldest["mail"] < 120
    assert (found.pages.interactive, found.dispatchers) == (0.0, {})


async def test_dispatchers_that_drain_are_not_counted(watch: QueueWatch, pool: asyncpg.Pool) -> None:
    for name, draining in (("one", False), ("two", False), ("three", True)):
        await pool.execute(
            """
            INSERT INTO dispatcher (name, role, release, owner, listening, draining, slots, running, expires)
            VALUES ($1, 'long', '', '', true, $2, '{}', '{}', now() + interval '1 minute')
            """,
            name,
            draining,
        )

    found = await watch.latest()

    assert found is not None
    assert found.dispatchers == {"long": 2}


async def test_an_answer_is_kept_for_seconds_however_many_ask(
    watch: QueueWatch, clock: Clock, pool: asyncpg.Pool, organization: Tenant
) -> None:
    first = await asyncio.gather(*(watch.latest() for _ in range(5)))
    await queue_job(pool, organization, 1)
    clock.now += KEPT_SECONDS
    assert {id(found) for found in (*first, await watch.latest())} == {id(first[0])}
    clock.now += 0.1
    found = await watch.latest()
    assert found is not None
    assert found.waiting == {"mail": 1}
    assert len(await pool.fetch(ASKING, module.APPLICATION_NAME)) == 1


async def test_figures_come_again_when_postgres_is_back(
    watch: QueueWatch, clock: Clock, pool: asyncpg.Pool
) -> None:
    assert await watch.latest() is not None
    await pool.execute(f"SELECT pg_terminate_backend(pid) FROM ({ASKING}) AS asking", module.APPLICATION_NAME)
    clock.now += 2 * KEPT_SECONDS
    assert await watch.latest() is None
    clock.now += 2 * KEPT_SECONDS
    assert isinstance(await watch.latest(), QueueFigures)


async def test_there_are_no_figures_without_postgres(caplog: pytest.LogCaptureFixture) -> None:
    watch = QueueWatch(f"postgresql://user:secret@127.0.0.1:{free_port()}/none")
    assert await watch.latest() is None
    assert "ConnectionRefusedError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_postgres_that_does_not_answer_is_not_waited_for(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.1)
    watch = QueueWatch(f"postgresql://user:secret@127.0.0.1:{silent_port}/none")
    assert await watch.latest() is None


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    watch: QueueWatch, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
        assert await watch.latest() is None

        async def is_gone() -> bool:
            return not await pool.fetch(ASKING, module.APPLICATION_NAME)

        assert await eventually(is_gone, seconds=60)
