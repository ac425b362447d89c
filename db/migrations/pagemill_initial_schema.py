"""Create the tables, indexes and functions of the first release."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Create the tables, indexes and functions of the first release"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("initial_schema.sql", migration_id=ID, description=DESCRIPTION)
