"""Add the progress of trainings, their learning curves, and the errors that they ended with."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-29T00:47:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add the progress of trainings"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_training_progress.sql", migration_id=ID, description=DESCRIPTION)
