"""Documents in the order in which their objects are listed."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-25T06:43:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Documents in the order of their objects"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="pagemill", description=DESCRIPTION)

    async def run() -> None:
        engine = engine_finder()
        assert engine is not None
        await engine.run_ddl('CREATE INDEX document_by_id ON document (organization_id, (id COLLATE "C"))')

    manager.add_raw(run)
    return manager
