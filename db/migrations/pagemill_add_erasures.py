"""Add the resources whose values are being erased, and what the answers to idempotency keys name."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.sql_migration import sql_migration

ID = "2026-11-28T21:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Add the resources whose values are being erased, and what the answers to idempotency keys name"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    return sql_migration("add_erasures.sql", migration_id=ID, description=DESCRIPTION)
