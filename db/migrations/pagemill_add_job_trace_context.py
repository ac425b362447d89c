"""Add the trace that a job belongs to."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T14:45:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add the trace that a job belongs to"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_job_trace_context.sql", migration_id=ID, description=DESCRIPTION)
