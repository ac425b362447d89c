"""Add the table of the mail that came for workflows, and find a workflow by its address."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T18:37:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add the table of the mail that came for workflows, and find a workflow by its address"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_workflow_mail.sql", migration_id=ID, description=DESCRIPTION)
