"""Allow steps that run a transition of all organizations."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T18:31:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Allow steps that run a transition of all organizations"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("allow_steps_of_commons.sql", migration_id=ID, description=DESCRIPTION)
