"""Webhooks: the URLs at which organizations are told of events."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from msgspec import UnsetType

from db.statements import Connection, Row, columns, tenant
from pagemill.ids import OrganizationId, PrincipalId, WebhookAttemptId, WebhookDeliveryId, WebhookId

EventType: TypeAlias = Literal[
    "prediction.succeeded",
    "prediction.failed",
    "dataBundle.succeeded",
    "dataBundle.failed",
    "training.pending",
    "training.preparing",
    "training.running",
    "training.running-final-evaluation",
    "training.succeeded",
    "training.failed",
    "training.cancelled",
    "workflowExecution.succeeded",
    "workflowExecution.failed",
    "workflowExecution.rejected",
    "workflowExecution.retry",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
WebhookStatus: TypeAlias = Literal["enabled", "disabled"]

MOST_WEBHOOKS = 20
"""Of an organization: each one multiplies the rows that an outcome writes."""


class WebhookRow(Row):
    """A webhook without its signing secret."""

    id: WebhookId
    name: str | None
    description: str | None
    url: str
    event_types: list[EventType]
    status: WebhookStatus
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class WebhookAttemptRow(Row):
    """An attempt to deliver an event; ``next_attempt_time`` is null after the last one."""

    id: WebhookAttemptId
    delivery_id: WebhookDeliveryId
    event_type: EventType
    status_code: int | None
    error: str | None
    next_attempt_time: datetime.datetime | None
    created_time: datetime.datetime


@tenant("SELECT id FROM organization WHERE id = :organization_id FOR NO KEY UPDATE")
async def lock_owner(connection: Connection, *, organization_id: OrganizationId) -> OrganizationId | None:
    """Lock an organization, so that webhooks are added to it one after another."""


@tenant(f"""
    INSERT INTO webhook (
        organization_id, id, name, description, url, event_types, status, key_id, nonce, ciphertext,
        created_by, created_time
    )
    SELECT :organization_id, :webhook_id, :name, :description, :url, :event_types, :status, :key_id, :nonce,
        :ciphertext, :created_by, now()
    WHERE (SELECT count(*) FROM webhook WHERE organization_id = :organization_id) < {MOST_WEBHOOKS}
    RETURNING {columns(WebhookRow)}
""")
async def insert_webhook(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    webhook_id: WebhookId,
    name: str | None,
    description: str | None,
    url: str,
    event_types: Sequence[EventType],
    status: WebhookStatus,
    key_id: str,
    nonce: bytes,
    ciphertext: bytes,
    created_by: PrincipalId | None,
) -> WebhookRow | None:
    """Add a webhook unless the organization has the most that it can have."""


@tenant(f"""
    SELECT {columns(WebhookRow)} FROM webhook
    WHERE organization_id = :organization_id AND id = :webhook_id
""")
async def get_webhook(
    connection: Connection, *, organization_id: OrganizationId, webhook_id: WebhookId
) -> WebhookRow | None:
    """Return a webhook."""


@tenant(f"""
    SELECT {columns(WebhookRow)} FROM webhook
    WHERE organization_id = :organization_id
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_webhooks(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[WebhookRow]:
    """Return a page of webhooks, oldest first."""


@tenant(f"""
    UPDATE webhook SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        url = coalesce(:url, url), event_types = coalesce(:event_types::jsonb, event_types),
        status = coalesce(:status, status),
        updated_time = now(), updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :webhook_id
    RETURNING {columns(WebhookRow)}
""")
async def update_webhook(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    webhook_id: WebhookId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    url: str | None,
    event_types: Sequence[EventType] | None,
    status: WebhookStatus | UnsetType,
    updated_by: PrincipalId,
) -> WebhookRow | None:
    """Change what is sent of a webhook."""


@tenant(f"""
    DELETE FROM webhook WHERE organization_id = :organization_id AND id = :webhook_id
    RETURNING {columns(WebhookRow)}
""")
async def delete_webhook(
    connection: Connection, *, organization_id: OrganizationId, webhook_id: WebhookId
) -> WebhookRow | None:
    """Delete a webhook with its deliveries and return what it was."""


@tenant(f"""
    SELECT {columns(WebhookAttemptRow, "attempt", event_type="delivery.event_type")}
    FROM webhook_attempt AS attempt JOIN webhook_delivery AS delivery ON delivery.id = attempt.delivery_id
    WHERE attempt.organization_id = :organization_id AND attempt.webhook_id = :webhook_id
        AND (attempt.created_time, attempt.id) < (
            coalesce(:after_time::timestamptz, 'infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY attempt.created_time DESC, attempt.id DESC LIMIT :limit
""")
async def list_webhook_attempts(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    webhook_id: WebhookId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[WebhookAttemptRow]:
    """Return a page of the attempts to deliver events to a webhook, newest first."""
