"""What the operator does with webhooks: look at them and how they answered, and tell them again."""

from __future__ import annotations

import datetime
from typing import Literal

import msgspec

from db import webhooks as statements
from db.statements import Connection
from pagemill.errors import NotFound
from pagemill.jobs.job import BATCH
from pagemill.jobs.queue import enqueue


class WebhookReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook, and how many of its deliveries wait, failed and succeeded."""

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
    webhook_id: str
    delivery_id: str
    event_type: str
    created_time: datetime.datetime
    status_code: int | None
    error: str | None
    next_attempt_time: datetime.datetime | None


async def list_webhooks(connection: Connection, organization_id: str | None) -> list[WebhookReport]:
    rows = await statements.ALL_WEBHOOKS.fetch(connection, organization_id)
    return [WebhookReport(**dict(row)) for row in rows]


async def list_attempts(connection: Connection, name: str, limit: int) -> list[AttemptReport]:
    """The newest attempts first, of a webhook or of one delivery."""
    rows = await statements.ATTEMPTS_OF.fetch(connection, name, limit)
    return [AttemptReport(**dict(row)) for row in rows]


async def replay(connection: Connection, name: str) -> list[str]:
    """Tell again: one delivery whatever became of it, or all of a webhook that failed; their ids.

    The event keeps its ``webhook-id``. Raises NotFound when there is nothing to tell again.
    """
    async with connection.transaction():
        rows = await statements.DELIVERIES_TO_REPLAY.fetch(connection, name)
        for row in rows:
            await statements.REOPEN_DELIVERY.execute(connection, row["organization_id"], row["id"])
            await enqueue(
                connection,
                kind="webhook",
                organization_id=row["organization_id"],
                subject_id=row["id"],
                priority=BATCH,
                maximum_attempts=statements.MAXIMUM_ATTEMPTS,
            )
    if not rows:
        raise NotFound(f"{name} is no delivery that has ended, and no webhook that missed one")
    return [row["id"] for row in rows]
