"""Keys, checks and indexes that Piccolo's columns cannot express."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-24T18:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Keys, checks and indexes"

STATEMENTS = (
    "ALTER TABLE usage_counter DROP COLUMN id",
    "ALTER TABLE usage_counter ADD PRIMARY KEY (organization_id, month, meter)",
    "ALTER TABLE usage_counter ADD CHECK (used >= 0)",
    "ALTER TABLE usage_reservation DROP COLUMN id",
    "ALTER TABLE usage_reservation ADD PRIMARY KEY (job_id, meter)",
    "ALTER TABLE plan ADD UNIQUE (slug, version)",
    "ALTER TABLE dataset ADD CHECK (number_of_documents >= 0)",
    "ALTER TABLE job ADD CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled'))",
    "ALTER TABLE prediction ADD CHECK (status IN ('pending', 'succeeded', 'failed'))",
    *(
        f"ALTER TABLE {table} ADD FOREIGN KEY (organization_id) REFERENCES organization (id)"
        for table in ("app_client", "dataset", "document", "model", "data_bundle", "training", "prediction")
    ),
    "ALTER TABLE document ADD FOREIGN KEY (dataset_id) REFERENCES dataset (id)",
    "ALTER TABLE data_bundle ADD FOREIGN KEY (model_id) REFERENCES model (id) ON DELETE CASCADE",
    "ALTER TABLE training ADD FOREIGN KEY (model_id) REFERENCES model (id) ON DELETE CASCADE",
    *(
        f"CREATE INDEX {table}_by_time ON {table} (organization_id, created_time, id)"
        for table in ("app_client", "dataset", "document", "model", "prediction")
    ),
    "CREATE INDEX document_by_dataset ON document (organization_id, dataset_id, created_time, id)",
    "CREATE INDEX document_by_consent ON document (organization_id, consent_id, created_time, id)",
    "CREATE INDEX document_dataset ON document (dataset_id)",
    "CREATE INDEX prediction_by_model ON prediction (organization_id, model_id, created_time, id)",
    "CREATE INDEX data_bundle_by_model ON data_bundle (organization_id, model_id, created_time, id)",
    "CREATE INDEX training_by_model ON training (organization_id, model_id, created_time, id)",
    "CREATE INDEX job_queued ON job (kind, organization_id, priority, created_time, id) "
    "WHERE state = 'queued'",
    "CREATE INDEX job_running ON job (lease_expires) WHERE state = 'running'",
    "CREATE INDEX job_running_of ON job (kind, organization_id) WHERE state = 'running'",
    "CREATE INDEX job_ended ON job (ended_time) WHERE ended_time IS NOT NULL",
    "CREATE INDEX job_of_subject ON job (organization_id, subject_id)",
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
