"""Steps that are claimed while the column comes began when they say. Piccolo adds columns after raw statements."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-25T12:00:01:000000"
VERSION = "1.38.0"
DESCRIPTION = "When the steps were claimed that are claimed"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="pagemill", description=DESCRIPTION)

    async def run() -> None:
        engine = engine_finder()
        assert engine is not None
        await engine.run_ddl(
            "UPDATE transition_execution SET claimed_time = coalesce(start_time, created_time) "
            "WHERE claimed_by IS NOT NULL"
        )

    manager.add_raw(run)
    return manager
