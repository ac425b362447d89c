"""Statements of months that have ended."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-25T07:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Month statements"

STATEMENTS = (
    "CREATE TABLE month_statement ("
    "organization_id text NOT NULL REFERENCES organization (id), month text NOT NULL, content jsonb NOT NULL, "
    "created_time timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (organization_id, month))",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="pagemill", description=DESCRIPTION)

    async def run() -> None:
        engine = engine_finder()
        assert engine is not None
        for statement in STATEMENTS:
            await engine.run_ddl(statement)

    manager.add_raw(run)
    return manager
