"""One database for each module of tests; what a test writes is rolled back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from db.administration import create_database, drop_database
from db.pool import connect
from db.statements import Connection
from pagemill.stack.postgres import EmbeddedPostgres
from tests.conftest import TEMPLATE
from tests.support.tenants import Tenant, create_tenant


@pytest.fixture(scope="module")
def module_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A migrated database for all tests of a module."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(create_database(postgres.url("postgres"), name, template=TEMPLATE))
    yield postgres.url(name)
    asyncio.run(drop_database(postgres.url("postgres"), name))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_connection(module_database_url: str) -> AsyncIterator[Connection]:
    """A connection for all tests of a module; what is written here is seen by all of them.

    Without indexes, rows come in the order in which they were written: a missing ORDER BY is seen.
    """
    connection = await connect(module_database_url)
    for scan in ("indexscan", "indexonlyscan", "bitmapscan"):
        await connection.execute(f"SET enable_{scan} = off")
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="module")
async def connection(module_connection: Connection) -> AsyncIterator[Connection]:
    """A connection in a transaction that is rolled back at the end of the test."""
    transaction = module_connection.transaction()
    await transaction.start()
    yield module_connection
    await transaction.rollback()


@pytest_asyncio.fixture(loop_scope="module")
async def mine(connection: Connection) -> Tenant:
    """An organization without limits."""
    return await create_tenant(connection)


@pytest_asyncio.fixture(loop_scope="module")
async def theirs(connection: Connection) -> Tenant:
    """Another organization, which must neither see nor change anything of the first one."""
    return await create_tenant(connection)


@pytest_asyncio.fixture(loop_scope="module")
async def own(mine: Tenant) -> dict[str, Any]:
    """The arguments that name an organization."""
    return {"organization_id": mine.organization_id}


@pytest_asyncio.fixture(loop_scope="module")
async def foreign(theirs: Tenant) -> dict[str, Any]:
    """The arguments that name another organization."""
    return {"organization_id": theirs.organization_id}


@pytest_asyncio.fixture(loop_scope="module")
async def now(connection: Connection) -> datetime:
    """The time of the transaction, which stands still."""
    return await connection.fetchval("SELECT now()")
