"""Tests of the migrations: they make the schema that the tables describe, once."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
import pytest
from piccolo.apps.migrations.commands.new import AutoMigrationManager
from piccolo.engine.postgres import PostgresEngine

from db.migrate import MigrationError, migrate
from db.piccolo_app import APP_CONFIG
from db.tables import ALL_TABLES
from tests.support.schema_comparison import create_tables, describe_schema, differences

PLANTED = {
    "ALTER TABLE document DROP COLUMN consent_id": {"document.consent_id"},
    "ALTER TABLE document ADD COLUMN language text": {"document.language"},
    "ALTER TABLE prediction ALTER COLUMN next_page TYPE bigint": {"prediction.next_page"},
    "ALTER TABLE model ALTER COLUMN training_id SET NOT NULL": {"model.training_id"},
    "ALTER TABLE asset ALTER COLUMN content_key DROP NOT NULL": {"asset.content_key"},
    "ALTER TABLE training ALTER COLUMN status SET DEFAULT 'running'": {"training.status"},
    "ALTER TABLE job ALTER COLUMN priority DROP DEFAULT": {"job.priority"},
    "ALTER TABLE usage_counter DROP CONSTRAINT usage_counter_pkey": {
        "usage_counter primary key (organization_id, month, meter)"
    },
    "ALTER TABLE dataset DROP CONSTRAINT dataset_organization_id_fkey": {
        "dataset foreign key (organization_id)"
    },
    "ALTER TABLE data_bundle DROP CONSTRAINT data_bundle_model_id_fkey, "
    "ADD FOREIGN KEY (model_id) REFERENCES model": {"data_bundle foreign key (model_id)"},
    "ALTER TABLE plan DROP CONSTRAINT plan_slug_version_key": {"plan unique (slug, version)"},
    "ALTER TABLE profile ADD UNIQUE (name)": {"profile unique (name)"},
    "CREATE TABLE spare (id text)": {"spare.id"},
    "DROP TABLE mail_service": {
        "mail_service.id",
        "mail_service.available",
        "mail_service.updated_time",
        "mail_service.daily_quota",
        "mail_service.stranger_interval",
        "mail_service primary key (id)",
    },
}


@pytest.fixture
async def declared(database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The schema of the Piccolo tables, created beside the migrated one."""
    engine = PostgresEngine(config={"dsn": database_url}, extensions=())
    for table in ALL_TABLES:
        monkeypatch.setattr(table._meta, "_db", engine)
    async with pool.acquire() as connection:
        await create_tables(connection, "declared", ALL_TABLES)
        return await describe_schema(connection, "declared")


async def test_tables_and_migrations_agree(pool: asyncpg.Pool, declared: dict[str, str]) -> None:
    async with pool.acquire() as connection:
        migrated = await describe_schema(connection, "public")
    assert differences(declared, migrated) == {}
    assert {name.partition(".")[0] for name in migrated if "." in name} == {
        table._meta.tablename for table in ALL_TABLES
    }


async def test_planted_differences_are_found(pool: asyncpg.Pool, declared: dict[str, str]) -> None:
    async with pool.acquire() as connection:
        for statement in PLANTED:
            await connection.execute(statement)
        migrated = await describe_schema(connection, "public")
    assert set(differences(declared, migrated)) == set().union(*PLANTED.values())


async def test_piccolo_has_nothing_to_alter() -> None:
    manager = AutoMigrationManager()
    for alteration in await manager.get_alter_statements(app_config=APP_CONFIG):
        assert alteration.statements == []


def test_each_migration_has_an_id_of_its_own() -> None:
    """Of two with the same id only one is ever run."""
    texts = [
        path.read_text() for path in Path(APP_CONFIG.resolved_migrations_folder_path).glob("pagemill_*.py")
    ]
    ids = [re.findall(r'^ID = "(.+)"$', text, re.MULTILINE) for text in texts]
    assert len({found for (found,) in ids}) == len(ids) > 5


async def test_second_migration_changes_nothing(database_url: str, pool: asyncpg.Pool) -> None:
    count = await pool.fetchval("SELECT count(*) FROM migration")
    migrate(database_url)
    assert await pool.fetchval("SELECT count(*) FROM migration") == count


async def test_counters_cannot_be_negative(pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("INSERT INTO usage_counter VALUES ('o', '2026-01', 'documents', -1)")


def test_unreachable_database_is_an_error() -> None:
    with pytest.raises(MigrationError, match="could not be migrated"):
        migrate("postgresql://nobody:nothing@127.0.0.1:1/none")


async def test_failed_migration_leaves_no_trace(pool: asyncpg.Pool, database_url: str) -> None:
    await pool.execute("DROP TABLE migration, webhook_attempt")
    with pytest.raises(MigrationError, match="already exists"):
        migrate(database_url)
    assert await pool.fetchval("SELECT count(*) FROM migration") == 0
    assert await pool.fetchval("SELECT to_regclass('webhook_attempt')") is None


async def test_order_of_the_fields_of_a_model_is_kept(pool: asyncpg.Pool) -> None:
    column = await pool.fetchval(
        "SELECT data_type FROM information_schema.columns WHERE table_name = 'model' AND column_name = $1",
        "field_config",
    )
    assert column == "json"
