"""Migrations that run a file of SQL."""

from __future__ import annotations

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder
from piccolo.engine.postgres import PostgresEngine

MIGRATIONS = Path(__file__).parent / "migrations"


def sql_migration(file_name: str, *, migration_id: str, description: str) -> MigrationManager:
    """Return a migration that runs a file of ``db/migrations`` in one transaction."""
    manager = MigrationManager(migration_id=migration_id, app_name="pagemill", description=description)

    async def run() -> None:
        engine = engine_finder()
        assert isinstance(engine, PostgresEngine)
        transaction = engine.current_transaction.get()
        assert transaction is not None, "Piccolo runs the statements of a migration in a transaction"
        # Not engine.run_ddl(), which prepares the statement and so takes only one.
        await transaction.connection.execute((MIGRATIONS / file_name).read_text())

    manager.add_raw(run)
    return manager
