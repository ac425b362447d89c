"""Keys, checks and indexes that Piccolo's columns cannot express."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-25T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Keys, checks and indexes of the rest of the contract"

TENANT_TABLES = (
    "asset",
    "secret",
    "payment_method",
    "organization_user",
    "transformation",
    "transition",
    "workflow",
    "workflow_execution",
    "transition_execution",
    "log",
    "log_event",
    "idempotency_key",
    "month_statement",
    "limit_warning",
    "webhook",
    "webhook_delivery",
    "webhook_attempt",
)

# Of a timestamp without time zone: with one, the sum depends on the session and cannot be indexed.
DUE = "((created_time AT TIME ZONE 'UTC') + retention_in_days * interval '1 day')"

STATEMENTS = (
    "ALTER TABLE idempotency_key DROP COLUMN id",
    "ALTER TABLE idempotency_key ADD PRIMARY KEY (organization_id, principal_id, key)",
    "ALTER TABLE month_statement DROP COLUMN id",
    "ALTER TABLE month_statement ADD PRIMARY KEY (organization_id, month)",
    "ALTER TABLE limit_warning DROP COLUMN id",
    "ALTER TABLE limit_warning ADD PRIMARY KEY (organization_id, month, meter, threshold)",
    # A crash may well fill the buckets up: they are not worth a write to the log.
    "ALTER TABLE request_allowance SET UNLOGGED",
    "CREATE INDEX idempotency_key_by_age ON idempotency_key (created_time)",
    *(
        f"ALTER TABLE {table} ADD FOREIGN KEY (organization_id) REFERENCES organization (id)"
        for table in TENANT_TABLES
    ),
    "ALTER TABLE organization_user ADD UNIQUE (organization_id, email)",
    "ALTER TABLE organization_user ADD FOREIGN KEY (profile_id) REFERENCES profile (id)",
    "ALTER TABLE transformation ADD FOREIGN KEY (dataset_id) REFERENCES dataset (id) ON DELETE CASCADE",
    "ALTER TABLE workflow_execution ADD FOREIGN KEY (workflow_id) REFERENCES workflow (id) ON DELETE CASCADE",
    "ALTER TABLE transition_execution ADD FOREIGN KEY (transition_id) REFERENCES transition (id) "
    "ON DELETE CASCADE",
    "ALTER TABLE transition_execution ADD FOREIGN KEY (workflow_execution_id) "
    "REFERENCES workflow_execution (id) ON DELETE CASCADE",
    "ALTER TABLE log_event ADD FOREIGN KEY (log_id) REFERENCES log (id) ON DELETE CASCADE",
    "ALTER TABLE deployment_environment ADD CHECK (status IN ('available', 'unavailable'))",
    "ALTER TABLE organization_user ADD CHECK (status IN ('inactive', 'active', 'invite_pending'))",
    "ALTER TABLE transformation ADD CHECK (status IN ('running', 'succeeded', 'failed'))",
    "ALTER TABLE transition ADD CHECK (transition_type IN ('docker', 'manual', 'lambda'))",
    "ALTER TABLE workflow ADD CHECK (status IN ('development', 'production'))",
    "ALTER TABLE workflow_execution ADD CHECK (status IN "
    "('running', 'succeeded', 'failed', 'rejected', 'retry', 'error', 'completed'))",
    "ALTER TABLE transition_execution ADD CHECK (status IN "
    "('running', 'succeeded', 'failed', 'rejected', 'retry'))",
    *(
        f"CREATE INDEX {table}_by_time ON {table} (organization_id, created_time, id)"
        for table in (
            "asset",
            "secret",
            "payment_method",
            "organization_user",
            "transition",
            "workflow",
        )
    ),
    "CREATE INDEX transformation_by_dataset ON transformation (organization_id, dataset_id, created_time, id)",
    "CREATE INDEX model_shared ON model (organization_id, created_time, id) WHERE shared",
    "CREATE INDEX organization_user_profile ON organization_user (profile_id)",
    "CREATE INDEX workflow_execution_by_start ON workflow_execution "
    "(organization_id, workflow_id, start_time, id)",
    "CREATE INDEX workflow_execution_by_end ON workflow_execution (organization_id, workflow_id, end_time, id)",
    "CREATE INDEX workflow_execution_running ON workflow_execution (workflow_id) WHERE status = 'running'",
    "CREATE INDEX transition_execution_by_start ON transition_execution "
    "(organization_id, transition_id, start_time, id)",
    "CREATE INDEX transition_execution_by_end ON transition_execution "
    "(organization_id, transition_id, end_time, id)",
    "CREATE INDEX transition_execution_waiting ON transition_execution "
    "(organization_id, transition_id, created_time, id) WHERE status = 'running'",
    "CREATE INDEX transition_execution_of_workflow ON transition_execution (workflow_execution_id)",
    "CREATE INDEX transition_execution_expiring ON transition_execution (expires) WHERE status = 'running'",
    "CREATE INDEX log_by_start ON log (organization_id, start_time, id)",
    "CREATE INDEX log_by_workflow ON log (organization_id, workflow_id, start_time, id)",
    "CREATE INDEX log_by_transition ON log (organization_id, transition_id, start_time, id)",
    "CREATE INDEX log_by_workflow_execution ON log (workflow_execution_id)",
    "CREATE INDEX log_by_transition_execution ON log (transition_execution_id)",
    "CREATE INDEX log_event_of_log ON log_event (log_id, id)",
    'CREATE INDEX document_by_id ON document (organization_id, (id COLLATE "C"))',
    f"CREATE INDEX document_due ON document (organization_id, {DUE})",
    f"CREATE INDEX data_bundle_due ON data_bundle (organization_id, {DUE})",
    "CREATE INDEX prediction_of_document ON prediction (organization_id, document_id, created_time, id)",
    "ALTER TABLE mail_service ADD CHECK (id = 1)",
    "ALTER TABLE webhook ADD CHECK (status IN ('enabled', 'disabled'))",
    "ALTER TABLE webhook_delivery ADD FOREIGN KEY (webhook_id) REFERENCES webhook (id) ON DELETE CASCADE",
    "ALTER TABLE webhook_delivery ADD CHECK (status IN ('pending', 'succeeded', 'failed'))",
    "ALTER TABLE webhook_attempt ADD FOREIGN KEY (webhook_id) REFERENCES webhook (id) ON DELETE CASCADE",
    "ALTER TABLE webhook_attempt ADD FOREIGN KEY (delivery_id) REFERENCES webhook_delivery (id) "
    "ON DELETE CASCADE",
    "CREATE INDEX webhook_by_time ON webhook (organization_id, created_time, id)",
    "CREATE INDEX webhook_enabled ON webhook (organization_id) WHERE status = 'enabled'",
    "CREATE INDEX webhook_delivery_by_time ON webhook_delivery (organization_id, created_time)",
    "CREATE INDEX webhook_delivery_of_webhook ON webhook_delivery (webhook_id, status)",
    "CREATE INDEX webhook_attempt_by_time ON webhook_attempt "
    "(organization_id, webhook_id, created_time, id)",
    "CREATE INDEX webhook_attempt_of_webhook ON webhook_attempt (webhook_id)",
    "CREATE INDEX webhook_attempt_of_delivery ON webhook_attempt (delivery_id)",
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
