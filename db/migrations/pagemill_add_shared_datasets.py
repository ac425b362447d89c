"""Add what shared datasets need."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T23:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add what shared datasets need"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_shared_datasets.sql", migration_id=ID, description=DESCRIPTION)
