"""The operator's view of webhooks: list them and their attempts, and deliver events again."""

from __future__ import annotations

import datetime
from typing import Literal

import msgspec

from db import webhook_deliveries as statements
from db.statements import Connection
from pagemill.errors import NotFound


class WebhookReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook, and the numbers of its deliveries that wait, have failed and have succeeded."""

    id: str
    organization_id: str
    name: str | None
    url: str
    event_types: list[str]
    status: Literal["enabled", "disabled"]
    pending: int
    failed: int
    succeeded: int


class AttemptReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One attempt to deliver an event."""

    webhook_id: str
    delivery_id: str
    event_type: str
    created_time: datetime.datetime
    status_code: int | None
    error: str | None
    next_attempt_time: datetime.datetime | None


async def list_webhooks(connection: Connection, organization_id: str | None) -> list[WebhookReport]:
    """List the webhooks of an organization, or all of them."""
    rows = await statements.ALL_WEBHOOKS.fetch(connection, organization_id)
    return [WebhookReport(**dict(row)) for row in rows]


async def list_attempts(connection: Connection, name: str, limit: int) -> list[AttemptReport]:
    """List the attempts of a webhook or of one delivery, the newest first."""
    rows = await statements.ATTEMPTS_OF.fetch(connection, name, limit)
    return [AttemptReport(**dict(row)) for row in rows]


async def replay(connection: Connection, name: str) -> list[str]:
    """Deliver again: one delivery whatever its outcome, or all failed ones of a webhook; return their ids.

    The event keeps its ``webhook-id``. Raises NotFound when there is nothing to deliver again.
    """
    rows = await statements.REPLAY_DELIVERIES.fetch(connection, name)
    if not rows:
        raise NotFound(f"{name} is no delivery that has ended, and no webhook that missed one")
    return [row["id"] for row in rows]
