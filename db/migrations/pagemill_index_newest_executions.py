"""Index the executions of workflows by their start."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T22:05:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Index the executions of workflows by their start"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("index_newest_executions.sql", migration_id=ID, description=DESCRIPTION)
