"""Mail that came for workflows: the workflow of an address, and what became of each mail."""

from __future__ import annotations

import datetime
from typing import Any, Literal, TypeAlias

from db.statements import Connection, Row, RowCount, columns, crossing, tenant
from db.workflows import TO_START, WorkflowToStartRow
from pagemill.ids import OrganizationId, WorkflowId

MailOutcome: TypeAlias = Literal["started", "ignored", "refused"]

KEPT_DAYS = 30
"""Longer than any sender tries again, so that no Message-ID is taken twice."""
DELETION_BATCH_SIZE = 100


class MailedWorkflowRow(Row):
    """The workflow of an address."""

    organization_id: OrganizationId
    workflow_id: WorkflowId


class WorkflowMailRow(Row, rename="camel"):
    """A mail that came for a workflow; ``detail`` says why it was not taken, or what was left out."""

    organization_id: OrganizationId
    workflow_id: WorkflowId
    message_id: str | None
    origin: str
    outcome: MailOutcome
    executions: int
    detail: str | None
    received_time: datetime.datetime


@crossing(
    "mail names a workflow by its address alone",
    """
    SELECT organization_id, id AS workflow_id FROM workflow WHERE lower(email_config ->> 'email') = :address
    """,
)
async def find_mailed_workflow(connection: Connection, *, address: str) -> MailedWorkflowRow | None:
    """Return the workflow with an address, given in small letters."""


@tenant("""
    SELECT email_config FROM workflow
    WHERE organization_id = :organization_id AND id = :workflow_id
        AND lower(email_config ->> 'email') = :address
""")
async def get_email_config(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId, address: str
) -> dict[str, Any] | None:
    """Return the configuration for mail, None when the workflow does not have this address any more."""


@tenant(f"""
    SELECT {TO_START} FROM workflow
    WHERE organization_id = :organization_id AND id = :workflow_id
        AND lower(email_config ->> 'email') = :address
    FOR KEY SHARE
""")
async def keep_mailed_workflow(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId, address: str
) -> WorkflowToStartRow | None:
    """Return a workflow to start, if it still has this address; keep it until the transaction ends."""


@tenant("""
    SELECT outcome FROM workflow_mail
    WHERE organization_id = :organization_id AND workflow_id = :workflow_id AND message_key = :message_key
""")
async def find_mail_outcome(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId, message_key: str
) -> MailOutcome | None:
    """Return what became of a mail, None when it is new."""


# Whoever takes the same mail at the same time waits here, and then finds that executions were started.
@tenant("""
    INSERT INTO workflow_mail (
        organization_id, workflow_id, message_key, message_id, origin, outcome, executions, detail,
        received_time
    )
    VALUES (
        :organization_id, :workflow_id, :message_key, :message_id, :origin, :outcome, :executions, :detail,
        now()
    )
    ON CONFLICT (organization_id, workflow_id, message_key) DO UPDATE SET
        message_id = excluded.message_id, origin = excluded.origin, outcome = excluded.outcome,
        executions = excluded.executions, detail = excluded.detail, received_time = excluded.received_time
    WHERE workflow_mail.outcome <> 'started'
""")
async def record_mail(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    message_key: str,
    message_id: str | None,
    origin: str,
    outcome: MailOutcome,
    executions: int,
    detail: str | None,
) -> RowCount:
    """Record what becomes of a mail, and return 1; return 0 when it has started executions before."""


@tenant(f"""
    DELETE FROM workflow_mail
    WHERE organization_id = :organization_id AND ctid = ANY(ARRAY(
        SELECT ctid FROM workflow_mail
        WHERE organization_id = :organization_id AND received_time < now() - interval '{KEPT_DAYS} days'
        ORDER BY received_time LIMIT {DELETION_BATCH_SIZE} FOR UPDATE SKIP LOCKED
    ))
""")
async def delete_old_mail(connection: Connection, *, organization_id: OrganizationId) -> RowCount:
    """Delete some records of mail that came long ago, the oldest first."""


@crossing(
    "the operator looks at all organizations",
    f"""
    SELECT {columns(WorkflowMailRow)} FROM workflow_mail
    WHERE (:workflow_id::text IS NULL OR workflow_id = :workflow_id)
        AND (:outcome::text IS NULL OR outcome = :outcome)
    ORDER BY received_time DESC, message_key LIMIT :limit
    """,
)
async def list_mail(
    connection: Connection, *, workflow_id: WorkflowId | None, outcome: MailOutcome | None, limit: int
) -> list[WorkflowMailRow]:
    """Return records of mail, the newest first."""
