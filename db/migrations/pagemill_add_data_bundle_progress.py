"""Add the progress of data bundles: how many documents they have, and how many of these have been read."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T11:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add the progress of data bundles"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_data_bundle_progress.sql", migration_id=ID, description=DESCRIPTION)
