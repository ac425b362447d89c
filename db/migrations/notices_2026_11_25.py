"""Mail, warnings about limits, and webhooks."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-25T08:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Mail, warnings about limits, webhooks"

STATEMENTS = (
    """
    CREATE TABLE mail_service (
        id integer PRIMARY KEY CHECK (id = 1),
        available boolean NOT NULL,
        updated_time timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE limit_warning (
        organization_id text NOT NULL REFERENCES organization (id),
        month text NOT NULL,
        meter text NOT NULL,
        threshold integer NOT NULL,
        created_time timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (organization_id, month, meter, threshold)
    )
    """,
    """
    CREATE TABLE webhook (
        id text PRIMARY KEY,
        organization_id text NOT NULL REFERENCES organization (id),
        name text,
        description text,
        url text NOT NULL,
        event_types jsonb NOT NULL,
        status text NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled')),
        key_id text NOT NULL,
        nonce bytea NOT NULL,
        ciphertext bytea NOT NULL,
        created_time timestamptz NOT NULL DEFAULT now(),
        created_by text,
        updated_time timestamptz,
        updated_by text
    )
    """,
    """
    CREATE TABLE webhook_delivery (
        id text PRIMARY KEY,
        organization_id text NOT NULL REFERENCES organization (id),
        webhook_id text NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
        event_type text NOT NULL,
        body text NOT NULL,
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
        created_time timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE webhook_attempt (
        id text PRIMARY KEY,
        organization_id text NOT NULL REFERENCES organization (id),
        webhook_id text NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
        delivery_id text NOT NULL REFERENCES webhook_delivery (id) ON DELETE CASCADE,
        job_id text NOT NULL,
        status_code integer,
        error text,
        next_attempt_time timestamptz,
        created_time timestamptz NOT NULL DEFAULT now()
    )
    """,
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
