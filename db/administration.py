"""Creation and removal of whole databases, and the roles of one: its owner, and the application."""

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


_OWNED = """
    SELECT format('ALTER TABLE %s OWNER TO %I', oid::regclass, $1::text) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT format('ALTER FUNCTION %s OWNER TO %I', oid::regprocedure, $1::text) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
"""
"""Commands that give everything in the schema to a role; sequences go with their tables."""

_OF_THE_DATABASE = (
    "ALTER DATABASE %1$I OWNER TO %2$I",
    "REVOKE ALL ON DATABASE %1$I FROM PUBLIC",
    "REVOKE ALL ON DATABASE %1$I FROM %3$I",
    "GRANT CONNECT ON DATABASE %1$I TO %3$I",
    "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC",
    "ALTER SCHEMA public OWNER TO %2$I",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    # Large objects belong to whoever makes them, in no schema.
    "REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC",
)
"""Commands of the superuser; %1 is the database, %2 its owner, %3 the application."""

_OF_THE_OWNER = (
    "GRANT USAGE ON SCHEMA public TO %1$I",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %1$I",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO %1$I",
    # Which migrations have run is the owner's affair.
    "REVOKE INSERT, UPDATE, DELETE ON TABLE migration FROM %1$I",
)
"""Commands of the owner; %1 is the application."""


async def prepare_roles(
    superuser_url: str, *, owner: str, owner_password: str, application: str, application_password: str
) -> None:
    """Create the owner and the application of a database, or bring them up to date. It can be repeated.

    The owner has everything in the schema ``public``, also what the superuser of a former release made.
    ``grant_to_application`` has to follow, once the schema is there.
    """
    connection = await asyncpg.connect(superuser_url)
    try:
        async with connection.transaction():
            await _define_role(connection, owner, owner_password)
            await _define_role(connection, application, application_password)
            database = await connection.fetchval("SELECT current_database()")
            for command in _OF_THE_DATABASE:
                await _run_formatted(connection, command, database, owner, application)
            for row in await connection.fetch(_OWNED, owner):
                await connection.execute(row[0])
    finally:
        await connection.close()


async def define_role(owner_url: str, name: str, password: str) -> None:
    """Create a role that can do nothing yet, or change its password. It can be repeated."""
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            await _define_role(connection, name, password)
    finally:
        await connection.close()


async def _define_role(connection: asyncpg.Connection, name: str, password: str) -> None:
    if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
        await _run_formatted(connection, "CREATE ROLE %1$I", name)
    attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    await _run_formatted(connection, f"ALTER ROLE %1$I WITH {attributes} PASSWORD %2$L", name, password)


async def grant_to_application(owner_url: str, application: str) -> None:
    """Let a role read and write all rows of the schema, and do nothing else. It can be repeated."""
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            for command in _OF_THE_OWNER:
                await _run_formatted(connection, command, application)
    finally:
        await connection.close()


async def role_of(database_url: str) -> str:
    """Return the role that a URL connects as."""
    connection = await asyncpg.connect(database_url)
    try:
        return str(await connection.fetchval("SELECT current_user"))
    finally:
        await connection.close()


async def _run_formatted(connection: asyncpg.Connection, command: str, *names: str) -> None:
    """Run a command with names in it, quoted by Postgres."""
    places = ", ".join(f"${number}::text" for number in range(2, len(names) + 2))
    await connection.execute(await connection.fetchval(f"SELECT format($1, {places})", command, *names))


def prepare_roles_sync(
    superuser_url: str, *, owner: str, owner_password: str, application: str, application_password: str
) -> None:
    """Prepare the roles, for callers without an event loop."""
    asyncio.run(
        prepare_roles(
            superuser_url,
            owner=owner,
            owner_password=owner_password,
            application=application,
            application_password=application_password,
        )
    )


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
