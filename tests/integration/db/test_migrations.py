"""The migrations make the schema that the tables describe, once."""

from __future__ import annotations

import asyncpg
import pytest
from piccolo.apps.migrations.commands.new import AutoMigrationManager

from db.migrate import MigrationError, migrate
from db.piccolo_app import APP_CONFIG
from db.tables import ALL_TABLES

WITHOUT_ID = {"usage_counter", "usage_reservation", "idempotency_key", "month_statement", "limit_warning"}


async def test_every_table_and_column_exists(pool: asyncpg.Pool) -> None:
    rows = await pool.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    )
    found = {(row["table_name"], row["column_name"]) for row in rows}
    expected = {
        (table._meta.tablename, column._meta.name)
        for table in ALL_TABLES
        for column in table._meta.columns
        if not (table._meta.tablename in WITHOUT_ID and column._meta.name == "id")
    }
    assert expected <= found


async def test_migrating_twice_changes_nothing(database_url: str, pool: asyncpg.Pool) -> None:
    count = await pool.fetchval("SELECT count(*) FROM migration")
    migrate(database_url)
    assert await pool.fetchval("SELECT count(*) FROM migration") == count


async def test_counters_cannot_be_negative(pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("INSERT INTO usage_counter VALUES ('o', '2026-01', 'documents', -1)")


def test_an_unreachable_database_says_so() -> None:
    with pytest.raises(MigrationError, match="could not be migrated"):
        migrate("postgresql://nobody:nothing@127.0.0.1:1/none")


async def test_the_order_of_the_fields_is_kept(database_url: str, pool: asyncpg.Pool) -> None:
    column = await pool.fetchval(
        "SELECT data_type FROM information_schema.columns WHERE table_name = 'model' AND column_name = $1",
        "field_config",
    )
    assert column == "json"


async def test_the_migrations_say_what_the_tables_say() -> None:
    manager = AutoMigrationManager()
    for alteration in await manager.get_alter_statements(app_config=APP_CONFIG):
        assert alteration.statements == []


async def test_steps_that_are_claimed_while_the_database_is_upgraded_began_when_they_say(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await pool.execute("ALTER TABLE transition_execution DROP COLUMN claimed_time")
    await pool.execute("DELETE FROM migration WHERE name LIKE '2026-11-25T12:00:0%'")
    await pool.execute("INSERT INTO organization (id) VALUES ('las:organization:one')")
    await pool.execute(
        "INSERT INTO transition (id, organization_id, transition_type) VALUES ('manual', $1, 'manual')",
        "las:organization:one",
    )
    await pool.execute(
        """
        INSERT INTO transition_execution (id, organization_id, transition_id, claimed_by, start_time)
        VALUES ('claimed', $1, 'manual', 'las:user:one', '2026-11-25T10:00:00Z'),
               ('waiting', $1, 'manual', NULL, NULL)
        """,
        "las:organization:one",
    )
    migrate(database_url)
    rows = await pool.fetch("SELECT id, claimed_time = start_time AS same FROM transition_execution")
    assert {row["id"]: row["same"] for row in rows} == {"claimed": True, "waiting": None}
