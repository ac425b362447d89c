"""Index invitations by their address, and mailed codes by when they are over."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T23:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Index invitations by their address, and mailed codes by when they are over"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("index_invitations_and_codes.sql", migration_id=ID, description=DESCRIPTION)
