"""Declare the tables to Piccolo, which cannot read them from SQL and would propose to create them.

The migration is marked as fake: Piccolo records it and runs nothing.
"""

from __future__ import annotations

from piccolo.apps.migrations.auto.diffable_table import DiffableTable
from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.tables import ALL_TABLES

ID = "2026-11-28T04:00:01:000000"
VERSION = "1.38.0"
DESCRIPTION = "Declare the tables to Piccolo"


async def forwards() -> MigrationManager:
    """Return the migration for Piccolo."""
    manager = MigrationManager(migration_id=ID, app_name="pagemill", description=DESCRIPTION, fake=True)
    manager.add_tables = [
        DiffableTable(
            class_name=table.__name__,
            tablename=table._meta.tablename,
            columns=table._meta.non_default_columns,
            constraints=table._meta.constraints,
        )
        for table in ALL_TABLES
    ]
    return manager
