"""Add what is kept of the claims of people, and indexes for figures of executions."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T18:15:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add what is kept of the claims of people, and indexes for figures of executions"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_claims_of_people.sql", migration_id=ID, description=DESCRIPTION)
