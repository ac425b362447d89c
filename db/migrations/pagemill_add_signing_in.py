"""Add what people sign in with, the keys that sign their tokens, and what is recorded of it."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T23:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add what people sign in with, the keys that sign their tokens, and what is recorded of it"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_signing_in.sql", migration_id=ID, description=DESCRIPTION)
