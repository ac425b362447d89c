"""Add the machines of workflows' executions, and the times of their steps."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T18:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add the machines of workflows' executions, and the times of their steps"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_workflow_timers.sql", migration_id=ID, description=DESCRIPTION)
