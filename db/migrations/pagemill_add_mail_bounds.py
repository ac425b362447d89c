"""Add the bounds of an organization's mail."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T21:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add the bounds of an organization's mail"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_mail_bounds.sql", migration_id=ID, description=DESCRIPTION)
