"""The operator's view of webhooks: list them and their attempts, and deliver events again."""

from __future__ import annotations

import datetime

import msgspec

from db import webhook_deliveries as statements
from db.statements import Connection
from db.webhooks import EventType, WebhookStatus
from pagemill.errors import NotFound
from pagemill.ids import OrganizationId, WebhookDeliveryId, WebhookId


class WebhookReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook, and the numbers of its deliveries that wait, have failed and have succeeded."""

    id: WebhookId
    organization_id: OrganizationId
    name: str | None
    url: str
    event_types: list[EventType]
    status: WebhookStatus
    pending: int
    failed: int
    succeeded: int


class AttemptReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One attempt to deliver an event."""

    webhook_id: WebhookId
    delivery_id: WebhookDeliveryId
    event_type: EventType
    created_time: datetime.datetime
    status_code: int | None
    error: str | None
    next_attempt_time: datetime.datetime | None


async def list_webhooks(
    connection: Connection, organization_id: OrganizationId | None
) -> list[WebhookReport]:
    """List the webhooks of an organization, or all of them."""
    rows = await statements.list_webhook_reports(connection, organization_id=organization_id)
    return [WebhookReport(**msgspec.structs.asdict(row)) for row in rows]


async def list_attempts(connection: Connection, name: str, limit: int) -> list[AttemptReport]:
    """List the attempts of a webhook or of one delivery, the newest first."""
    rows = await statements.list_attempt_reports(connection, name=name, limit=limit)
    return [AttemptReport(**msgspec.structs.asdict(row)) for row in rows]


async def replay(connection: Connection, name: str) -> list[WebhookDeliveryId]:
    """Deliver again: one delivery whatever its outcome, or all failed ones of a webhook; return their ids.

    The event keeps its ``webhook-id``. Raises NotFound when there is nothing to deliver again.
    """
    delivery_ids = await statements.replay_deliveries(connection, name=name)
    if not delivery_ids:
        raise NotFound(f"{name} is no delivery that has ended, and no webhook that missed one")
    return delivery_ids
