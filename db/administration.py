"""Creation and removal of whole databases, for the embedded stack and for tests."""

from __future__ import annotations

import asyncio

import asyncpg


async def create_database(server_url: str, name: str, *, template: str | None = None) -> None:
    """Create a database unless it exists; as a copy of ``template``, which must be idle, if given."""
    connection = await asyncpg.connect(server_url)
    try:
        if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            return
        # Its files are copied: page by page, through the log, takes more than twice as long.
        suffix = f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
        await connection.execute(f'CREATE DATABASE "{name}"{suffix}')
    except asyncpg.DuplicateDatabaseError:
        return
    finally:
        await connection.close()


async def drop_database(server_url: str, name: str) -> None:
    """Drop a database, whoever is connected to it."""
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


def create_database_sync(server_url: str, name: str) -> None:
    """Create a database, for callers without an event loop."""
    asyncio.run(create_database(server_url, name))


async def has_tables(database_url: str) -> bool:
    """Return whether a database has any table of its own."""
    connection = await asyncpg.connect(database_url)
    try:
        return bool(
            await connection.fetchval(
                """
                SELECT EXISTS (
                    SELECT FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
                )
                """
            )
        )
    finally:
        await connection.close()
