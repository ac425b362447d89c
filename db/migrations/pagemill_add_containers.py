"""Add credentials of containers, and how far their output is in the log."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T18:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add credentials of containers, and how far their output is in the log"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_containers.sql", migration_id=ID, description=DESCRIPTION)
