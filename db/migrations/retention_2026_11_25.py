"""What is kept for some days only, jobs that exist by schedule, and what jobs that lose workers need."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-25T06:17:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Retention, scheduled jobs, lost workers"

# Of a timestamp without time zone: with one, the sum depends on the session and cannot be indexed.
DUE = "((created_time AT TIME ZONE 'UTC') + retention_in_days * interval '1 day')"

STATEMENTS = (
    "ALTER TABLE job ADD COLUMN lost_workers integer NOT NULL DEFAULT 0",
    f"CREATE INDEX document_due ON document (organization_id, {DUE})",
    f"CREATE INDEX data_bundle_due ON data_bundle (organization_id, {DUE})",
    "CREATE INDEX prediction_of_document ON prediction (organization_id, document_id, created_time, id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="pagemill", description=DESCRIPTION)

    async def run() -> None:
        engine = engine_finder()
        assert engine is not None
        for statement in STATEMENTS:
            await engine.run_ddl(statement)

    manager.add_raw(run)
    return manager
