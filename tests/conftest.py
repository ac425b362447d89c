"""Fixtures for all rooms: one Postgres for the session, a fresh database for each test."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import hypothesis
import pytest

from tests.support.directories import temporary_directory
from tests.support.distribution import OneRayAtATime, in_good_order, uses_ray
from tests.support.tenants import Tenant, create_tenant

if TYPE_CHECKING:
    from xdist.remote import Producer

    from pagemill.stack.postgres import EmbeddedPostgres

TEMPLATE = "pagemill_template"
POSTGRES_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
}
DRAWN = re.compile(r"[0-9a-f]{32}")

# How long an example takes says how busy the machine is; the test's own timeout bounds the whole.
hypothesis.settings.register_profile("pagemill", deadline=None)
hypothesis.settings.load_profile("pagemill")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark and begin with what takes long."""
    items[:] = in_good_order(items)
    for item in items:
        if uses_ray(item.nodeid):
            item.add_marker(pytest.mark.ray)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneRayAtATime:
    """With ``-n``: the order is ours, not that of the largest files."""
    config.option.loadscopereorder = False
    return OneRayAtATime(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Leave ids that are drawn anew in each process out of names: all workers collect the same tests."""
    return argname if isinstance(val, str) and DRAWN.search(val) else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server of this session's own, with a migrated template database."""
    from db.administration import create_database
    from db.migrate import migrate
    from pagemill.stack.postgres import EmbeddedPostgres

    with temporary_directory("pagemill-postgres-") as directory:
        server = EmbeddedPostgres(directory, settings=POSTGRES_SETTINGS)
        server.start()
        try:
            asyncio.run(create_database(server.url("postgres"), TEMPLATE))
            migrate(server.url(TEMPLATE))
            yield server
        finally:
            server.stop()


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A fresh, migrated, empty database."""
    from db.administration import create_database, drop_database

    name = f"test_{uuid.uuid4().hex}"
    await create_database(postgres.url("postgres"), name, template=TEMPLATE)
    yield postgres.url(name)
    await drop_database(postgres.url("postgres"), name)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to the test's database."""
    from db.pool import create_pool

    pool = await create_pool(database_url, size=8)
    yield pool
    await pool.close()


@pytest.fixture
async def organization(pool: asyncpg.Pool) -> Tenant:
    """An organization without limits."""
    async with pool.acquire() as connection:
        return await create_tenant(connection)


@pytest.fixture
async def other_organization(pool: asyncpg.Pool) -> Tenant:
    """Another one, which must never see the first one's data."""
    async with pool.acquire() as connection:
        return await create_tenant(connection)


@pytest.fixture
def objects_directory(tmp_path: Path) -> Path:
    """Where a test's objects lie."""
    directory = tmp_path / "objects"
    directory.mkdir()
    return directory


@pytest.fixture
async def objects(objects_directory: Path) -> AsyncIterator[object]:
    """An object store in a directory."""
    from pagemill.objects import open_objects
    from pagemill.settings import Settings

    store = open_objects(
        Settings(
            database_url="postgresql://unused", objects_url=objects_directory.as_uri(), token_key="unused"
        )
    )
    yield store
    await store.close()
