"""The roles of the embedded database: who owns it, and what the processes that run may not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from click.testing import CliRunner

from db.administration import grant_to_application
from db.migrate import migrate
from pagemill.cli import main
from pagemill.stack.bootstrap import prepare_schema
from pagemill.stack.postgres import APPLICATION, OWNER, USER, EmbeddedPostgres
from tests.support.directories import temporary_directory
from tests.unit.db.test_statements import load_statements


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server whose database a former release has made: everything in it is the superuser's."""
    with temporary_directory("pagemill-") as directory:
        server = EmbeddedPostgres(directory / "postgres")
        server.start()
        try:
            migrate(server.url())
            server.prepare_roles()
            prepare_schema(server.url(role=OWNER), server.url(role=APPLICATION))
            yield server
        finally:
            server.stop()


@pytest.fixture
async def application(server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url(role=APPLICATION))
    yield connection
    await connection.close()


@pytest.fixture
async def superuser(server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url())
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "command",
    [
        "CREATE TABLE mine (id integer)",
        "CREATE TEMPORARY TABLE mine (id integer)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "CREATE EXTENSION pg_stat_statements",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE document ADD COLUMN mine integer",
        "DROP TABLE document",
        "TRUNCATE document",
        "ALTER ROLE pagemill_app SUPERUSER",
        "ALTER SYSTEM SET log_statement = 'all'",
        f"SET ROLE {USER}",
        f"SET ROLE {OWNER}",
        "SET session_replication_role = replica",
        "SELECT * FROM pg_shadow",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/hostname')",
        "SELECT lo_create(0)",
        "COPY document TO '/tmp/document'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY document FROM PROGRAM 'true'",
        "DELETE FROM migration",
        "SELECT pg_reload_conf()",
    ],
)
async def test_the_application_may_not(application: asyncpg.Connection, command: str) -> None:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
        await application.execute(command)


@pytest.mark.parametrize("database", ["postgres", "template1"])
async def test_the_application_sees_no_other_database(server: EmbeddedPostgres, database: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(server.url(database, role=APPLICATION))


async def test_the_application_may_run_every_statement(application: asyncpg.Connection) -> None:
    refused = []
    for name, statement in load_statements().items():
        try:
            # Postgres checks rights when it explains a statement, too.
            await application.execute(f"EXPLAIN (GENERIC_PLAN) {statement.sql}")
        except asyncpg.InsufficientPrivilegeError as error:
            refused.append((name, str(error)))
        except asyncpg.PostgresError:
            continue
    assert refused == []


async def test_a_statement_that_is_refused_is_found_out(application: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await application.execute("EXPLAIN (GENERIC_PLAN) DELETE FROM migration WHERE name = $1")


async def test_everything_belongs_to_the_owner(superuser: asyncpg.Connection) -> None:
    owners = await superuser.fetch(
        """
        SELECT DISTINCT relowner::regrole::text AS owner FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
        UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'
        UNION SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()
        """
    )
    assert [row["owner"] for row in owners] == [OWNER]


@pytest.mark.parametrize("role", [OWNER, APPLICATION])
async def test_only_the_superuser_has_attributes(superuser: asyncpg.Connection, role: str) -> None:
    found = await superuser.fetchrow(
        """
        SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles
        WHERE rolname = $1
        """,
        role,
    )
    assert not any(found.values())
    members = "SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole"
    assert await superuser.fetchval(members, role) == 0


async def test_a_table_of_a_later_release_is_granted(
    server: EmbeddedPostgres, application: asyncpg.Connection
) -> None:
    owner = await asyncpg.connect(server.url(role=OWNER))
    try:
        await owner.execute("CREATE TABLE later (id bigserial PRIMARY KEY, name text)")
        await grant_to_application(server.url(role=OWNER), APPLICATION)
        await application.execute("INSERT INTO later (name) VALUES ('x')")
        await owner.execute("DROP TABLE later")
    finally:
        await owner.close()


async def test_connections_need_a_password(superuser: asyncpg.Connection) -> None:
    rules = await superuser.fetch("SELECT type, auth_method FROM pg_hba_file_rules WHERE error IS NULL")
    assert {row["auth_method"] for row in rules} == {"scram-sha-256"}


def test_roles_are_prepared_again(server: EmbeddedPostgres) -> None:
    urls = [server.url(role=role) for role in (USER, OWNER, APPLICATION)]
    server.prepare_roles()
    prepare_schema(server.url(role=OWNER), server.url(role=APPLICATION))
    assert [server.url(role=role) for role in (USER, OWNER, APPLICATION)] == urls


async def test_the_migration_makes_the_role_of_the_application(
    server: EmbeddedPostgres, superuser: asyncpg.Connection
) -> None:
    """As in containers, where only the owner is there at first."""
    await superuser.execute("CREATE DATABASE contained")
    owner_url = server.url("contained")
    application_url = f"postgresql://contained_app:pass%20word@127.0.0.1:{server.port}/contained"
    environment = {"PAGEMILL_DATABASE_URL": application_url, "PAGEMILL_DATABASE_OWNER_URL": owner_url}
    for _ in range(2):
        done = await asyncio.to_thread(
            CliRunner().invoke, main, ["migrate", "--create-role"], env=environment
        )
        assert done.exit_code == 0, done.output
    connection = await asyncpg.connect(application_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM document") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE mine (id integer)")
    finally:
        await connection.close()
