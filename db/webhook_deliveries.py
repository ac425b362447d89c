"""Deliveries of events to webhooks, and the attempts to send them."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, TypeAlias

from db.jobs import NEW_JOB_ID, queueing
from db.statements import Connection, NeverNull, Row, RowCount, crossing, tenant
from db.webhooks import EventType, WebhookStatus
from pagemill.ids import JobId, OrganizationId, WebhookAttemptId, WebhookDeliveryId, WebhookId

DeliveryStatus: TypeAlias = Literal["pending", "succeeded", "failed"]

KIND = "webhook"
PRIORITY = 10
MAXIMUM_ATTEMPTS = 8
"""``pagemill.work.webhooks`` has the delays between them."""
KEPT_DAYS = 30
"""Time for which deliveries that have ended are kept."""
DELETION_BATCH_SIZE = 100


class DeliveryRow(Row):
    """A delivery with its webhook, whose signing secret is sealed."""

    body: str
    status: DeliveryStatus
    webhook_id: WebhookId
    url: str
    webhook_status: WebhookStatus
    key_id: str
    nonce: bytes
    ciphertext: bytes


class WebhookReportRow(Row):
    """A webhook with the numbers of its deliveries."""

    id: WebhookId
    organization_id: OrganizationId
    name: str | None
    url: str
    event_types: list[EventType]
    status: WebhookStatus
    pending: Annotated[int, NeverNull("count(*)")]
    failed: Annotated[int, NeverNull("count(*)")]
    succeeded: Annotated[int, NeverNull("count(*)")]


class AttemptReportRow(Row):
    """An attempt with its delivery; ``next_attempt_time`` is null after the last one."""

    webhook_id: WebhookId
    delivery_id: WebhookDeliveryId
    event_type: EventType
    created_time: datetime.datetime
    status_code: int | None
    error: str | None
    next_attempt_time: datetime.datetime | None


def is_wanted(event_type: EventType, *, organization: str = ":organization_id") -> str:
    """Return an expression for statements that write outcomes: whether a webhook wants the event."""
    return f"""EXISTS (
        SELECT FROM webhook
        WHERE webhook.organization_id = {organization} AND webhook.status = 'enabled'
            AND webhook.event_types ? '{event_type}'
    )"""


# The webhooks are locked: one that is deleted at the same time must not take the outcome with it.
@tenant(
    queueing(
        f"'{KIND}'",
        f"""
        SELECT :organization_id, {NEW_JOB_ID}, '{KIND}', id, '{{}}'::jsonb, {PRIORITY}, {MAXIMUM_ATTEMPTS},
            :trace_context::text
        FROM delivery
        """,
        with_trace=True,
        parts=f"""
        wanting AS (
            SELECT id FROM webhook
            WHERE organization_id = :organization_id AND status = 'enabled' AND event_types ? :event_type
            ORDER BY id FOR KEY SHARE
        ), delivery AS (
            INSERT INTO webhook_delivery (organization_id, id, webhook_id, event_type, body)
            SELECT :organization_id, 'las:webhook-delivery:' || {NEW_JOB_ID}, id, :event_type, :body
            FROM wanting
            RETURNING id
        ),
        """,
    )
)
async def queue_deliveries(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    event_type: EventType,
    body: str,
    trace_context: str | None,
) -> Annotated[int, NeverNull("count(*)")]:
    """Add a delivery and its job for each webhook that wants the event; return how many."""


@tenant("""
    SELECT delivery.body, delivery.status, webhook.id AS webhook_id, webhook.url,
        webhook.status AS webhook_status, webhook.key_id, webhook.nonce, webhook.ciphertext
    FROM webhook_delivery AS delivery JOIN webhook ON webhook.id = delivery.webhook_id
    WHERE delivery.organization_id = :organization_id AND delivery.id = :delivery_id
""")
async def get_delivery(
    connection: Connection, *, organization_id: OrganizationId, delivery_id: WebhookDeliveryId
) -> DeliveryRow | None:
    """Return a delivery with its webhook."""


@tenant("""
    SELECT count(*) FROM webhook_attempt
    WHERE organization_id = :organization_id AND delivery_id = :delivery_id AND job_id = :job_id
""")
async def count_attempts(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    delivery_id: WebhookDeliveryId,
    job_id: JobId,
) -> Annotated[int, NeverNull("count(*)")]:
    """Count the attempts that a job has made at a delivery."""


# Before its deliveries are written to, as whoever deletes it does: the other way round would deadlock.
@tenant("SELECT id FROM webhook WHERE organization_id = :organization_id AND id = :webhook_id FOR KEY SHARE")
async def keep_webhook(
    connection: Connection, *, organization_id: OrganizationId, webhook_id: WebhookId
) -> WebhookId | None:
    """Return the id of a webhook if it exists, and keep it from being deleted until the transaction ends."""


@tenant("""
    INSERT INTO webhook_attempt (
        organization_id, id, webhook_id, delivery_id, job_id, status_code, error, next_attempt_time,
        created_time
    )
    VALUES (
        :organization_id, :attempt_id, :webhook_id, :delivery_id, :job_id, :status_code, :error,
        now() + :delay * interval '1 second', now()
    )
""")
async def insert_attempt(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    attempt_id: WebhookAttemptId,
    webhook_id: WebhookId,
    delivery_id: WebhookDeliveryId,
    job_id: JobId,
    status_code: int | None,
    error: str | None,
    delay: float | None,
) -> None:
    """Add an attempt; the next one follows in ``delay`` seconds, or never."""


@tenant("""
    UPDATE webhook_delivery SET status = :status
    WHERE organization_id = :organization_id AND id = :delivery_id AND status = 'pending'
""")
async def end_delivery(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    delivery_id: WebhookDeliveryId,
    status: DeliveryStatus,
) -> RowCount:
    """Give a pending delivery its final status."""


@tenant("""
    UPDATE webhook_delivery SET status = 'pending'
    WHERE organization_id = :organization_id AND id = :delivery_id AND status <> 'pending'
""")
async def reopen_delivery(
    connection: Connection, *, organization_id: OrganizationId, delivery_id: WebhookDeliveryId
) -> RowCount:
    """Make an ended delivery pending again, and return 1; return 0 if it has not ended."""


@tenant("""
    UPDATE webhook SET status = 'disabled', updated_time = now(), updated_by = NULL
    WHERE organization_id = :organization_id AND id = :webhook_id AND url = :url
""")
async def disable_webhook(
    connection: Connection, *, organization_id: OrganizationId, webhook_id: WebhookId, url: str
) -> RowCount:
    """Disable a webhook unless its URL has changed."""


@tenant(f"""
    DELETE FROM webhook_delivery WHERE organization_id = :organization_id AND id IN (
        SELECT id FROM webhook_delivery
        WHERE organization_id = :organization_id AND created_time < now() - interval '{KEPT_DAYS} days'
            AND status <> 'pending'
        ORDER BY created_time LIMIT {DELETION_BATCH_SIZE}
    )
""")
async def delete_old_deliveries(connection: Connection, *, organization_id: OrganizationId) -> RowCount:
    """Delete some deliveries that have ended long ago, the oldest first."""


@crossing(
    "the operator looks at all organizations",
    """
    SELECT webhook.id, webhook.organization_id, webhook.name, webhook.url, webhook.event_types,
        webhook.status,
        count(delivery.id) FILTER (WHERE delivery.status = 'pending') AS pending,
        count(delivery.id) FILTER (WHERE delivery.status = 'failed') AS failed,
        count(delivery.id) FILTER (WHERE delivery.status = 'succeeded') AS succeeded
    FROM webhook LEFT JOIN webhook_delivery AS delivery ON delivery.webhook_id = webhook.id
    WHERE :organization_id::text IS NULL OR webhook.organization_id = :organization_id
    GROUP BY webhook.id ORDER BY webhook.organization_id, webhook.created_time, webhook.id
    """,
)
async def list_webhook_reports(
    connection: Connection, *, organization_id: OrganizationId | None
) -> list[WebhookReportRow]:
    """Return the webhooks of an organization, or all of them, with the numbers of their deliveries."""


@crossing(
    "the operator names a webhook or a delivery, not its organization",
    """
    SELECT attempt.webhook_id, attempt.delivery_id, delivery.event_type, attempt.created_time,
        attempt.status_code, attempt.error, attempt.next_attempt_time
    FROM webhook_attempt AS attempt JOIN webhook_delivery AS delivery ON delivery.id = attempt.delivery_id
    WHERE attempt.webhook_id = :name OR attempt.delivery_id = :name
    ORDER BY attempt.created_time DESC, attempt.id DESC LIMIT :limit
    """,
)
async def list_attempt_reports(connection: Connection, *, name: str, limit: int) -> list[AttemptReportRow]:
    """Return the attempts of a webhook or of one delivery, the newest first."""


@crossing(
    "the operator names a webhook or a delivery, not its organization",
    queueing(
        f"'{KIND}'",
        f"""
        SELECT organization_id, {NEW_JOB_ID}, '{KIND}', id, '{{}}'::jsonb, {PRIORITY}, {MAXIMUM_ATTEMPTS}
        FROM reopened
        """,
        parts="""
        ended AS (
            SELECT id FROM webhook_delivery
            WHERE (id = :name OR (webhook_id = :name AND status = 'failed')) AND status <> 'pending'
            ORDER BY created_time, id FOR UPDATE
        ), reopened AS (
            UPDATE webhook_delivery SET status = 'pending' WHERE id IN (SELECT id FROM ended)
            RETURNING id, organization_id, created_time
        ),
        """,
        result="reopened.id",
    )
    + "CROSS JOIN reopened ORDER BY reopened.created_time, reopened.id",
)
async def replay_deliveries(connection: Connection, *, name: str) -> list[WebhookDeliveryId]:
    """Queue one delivery again, whatever its outcome, or all failed ones of a webhook; oldest first."""
