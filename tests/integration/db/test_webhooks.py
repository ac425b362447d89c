"""Webhooks, their deliveries, and the attempts to send them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from db.statements import Connection
from db.webhook_deliveries import (
    DELETION_BATCH_SIZE,
    KEPT_DAYS,
    AttemptReportRow,
    DeliveryRow,
    count_attempts,
    delete_old_deliveries,
    disable_webhook,
    end_delivery,
    get_delivery,
    insert_attempt,
    list_attempt_reports,
    list_webhook_reports,
    queue_deliveries,
    reopen_delivery,
    replay_deliveries,
)
from db.webhooks import MOST_WEBHOOKS, delete_webhook, get_webhook, insert_webhook
from pagemill.ids import (
    JobId,
    PrincipalId,
    WebhookAttemptId,
    WebhookDeliveryId,
    WebhookId,
)
from tests.support.everything import insert

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEBHOOK, DELIVERY = WebhookId("las:webhook:1"), WebhookDeliveryId("las:webhook-delivery:1")
SEALED = {"key_id": "k1", "nonce": b"nonce", "ciphertext": b"sealed"}
FAILED = "prediction.failed"
STATUSES = ("pending", "succeeded", "failed")


async def add_webhook(
    connection: Connection, owner: dict[str, Any], name: str = WEBHOOK, **values: Any
) -> str:
    values = {"event_types": [FAILED], "url": "https://example.com", **SEALED, **values}
    return await insert(connection, "webhook", **owner, id=name, **values)


async def add_delivery(
    connection: Connection, owner: dict[str, Any], name: str = DELIVERY, **values: Any
) -> str:
    values = {"webhook_id": WEBHOOK, "event_type": FAILED, "body": "{}", **values}
    return await insert(connection, "webhook_delivery", **owner, id=name, **values)


@pytest.mark.parametrize(("before", "is_added"), [(MOST_WEBHOOKS - 1, True), (MOST_WEBHOOKS, False)])
async def test_an_organization_has_a_limited_number_of_webhooks(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any], before: int, is_added: bool
) -> None:
    for number in range(before):
        await add_webhook(connection, own, f"mine {number}")
    await add_webhook(connection, foreign, "theirs")
    row = await insert_webhook(
        connection,
        **own,
        webhook_id=WEBHOOK,
        name="Errors",
        description=None,
        url="https://example.com/hook",
        event_types=[FAILED],
        status="enabled",
        **SEALED,
        created_by=PrincipalId("ada"),
    )
    assert (row is not None) == is_added
    if row is not None:
        assert (row.name, row.url, row.event_types) == ("Errors", "https://example.com/hook", [FAILED])
        assert not hasattr(row, "ciphertext")
        assert await delete_webhook(connection, **own, webhook_id=WEBHOOK) == row
    assert await get_webhook(connection, **own, webhook_id=WEBHOOK) is None


async def test_each_enabled_webhook_that_wants_the_event_gets_a_delivery_and_a_job(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    await add_webhook(connection, own, "a", event_types=["training.failed", FAILED])
    await add_webhook(connection, own, "b")
    await add_webhook(connection, own, "another event", event_types=["prediction.succeeded"])
    await add_webhook(connection, own, "disabled", status="disabled")
    await add_webhook(connection, foreign, "theirs")
    assert (
        await queue_deliveries(connection, **own, event_type=FAILED, body='{"id": 1}', trace_context="t") == 2
    )
    rows = await connection.fetch(
        """
        SELECT delivery.webhook_id, delivery.organization_id, delivery.body, delivery.status, job.kind,
            job.state, job.trace_context
        FROM webhook_delivery AS delivery JOIN job ON job.subject_id = delivery.id
            AND job.organization_id = delivery.organization_id
        ORDER BY delivery.webhook_id
        """
    )
    expected = (own["organization_id"], '{"id": 1}', "pending", "webhook", "queued", "t")
    assert [tuple(row) for row in rows] == [("a", *expected), ("b", *expected)]
    assert (
        await queue_deliveries(connection, **own, event_type="training.pending", body="", trace_context=None)
        == 0
    )


async def test_a_delivery_is_sent_with_the_webhook_as_it_is_now(
    connection: Connection, own: dict[str, Any]
) -> None:
    await add_webhook(connection, own)
    await add_delivery(connection, own, body='{"id": 1}')
    for url, touched in (("https://example.com/old", 0), ("https://example.com", 1)):
        named = {**own, "webhook_id": WEBHOOK}
        assert await disable_webhook(connection, **named, url=url) == touched
        row = await get_delivery(connection, **own, delivery_id=DELIVERY)
        status = "disabled" if touched else "enabled"
        expected = ('{"id": 1}', "pending", WEBHOOK, "https://example.com", status)
        assert row == DeliveryRow(*expected, *SEALED.values())


@pytest.mark.parametrize("status", STATUSES)
async def test_a_delivery_ends_once_and_is_reopened_when_it_has_ended(
    connection: Connection, own: dict[str, Any], status: str
) -> None:
    await add_webhook(connection, own)
    for name in ("ends", "is reopened"):
        await add_delivery(connection, own, name, status=status)
    ended = await end_delivery(connection, **own, delivery_id=WebhookDeliveryId("ends"), status="failed")
    reopened = await reopen_delivery(connection, **own, delivery_id=WebhookDeliveryId("is reopened"))
    assert (ended, reopened) == (status == "pending", status != "pending")
    rows = await connection.fetch("SELECT status FROM webhook_delivery ORDER BY id")
    assert [row["status"] for row in rows] == ["failed" if ended else status, "pending"]


async def test_attempts_are_counted_by_job_and_reported_newest_first(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    await add_webhook(connection, own)
    for name in (DELIVERY, "other delivery"):
        await add_delivery(connection, own, name)
    for name, job_id, delay in (("a", "job 1", 30.0), ("b", "job 1", None), ("c", "job 2", 0.5)):
        await insert_attempt(
            connection,
            **own,
            attempt_id=WebhookAttemptId(name),
            webhook_id=WEBHOOK,
            delivery_id=WebhookDeliveryId(DELIVERY if job_id == "job 1" else "other delivery"),
            job_id=JobId(job_id),
            status_code=500,
            error=name,
            delay=delay,
        )
    for delivery_id, job_id, expected in ((DELIVERY, "job 1", 2), (DELIVERY, "job 2", 0)):
        named = {**own, "delivery_id": delivery_id, "job_id": JobId(job_id)}
        assert await count_attempts(connection, **named) == expected
    rows = await list_attempt_reports(connection, name=WEBHOOK, limit=10)
    assert [row.error for row in rows] == ["c", "b", "a"]
    assert rows[1:] == await list_attempt_reports(connection, name=DELIVERY, limit=10)
    assert rows[2] == AttemptReportRow(WEBHOOK, DELIVERY, FAILED, now, 500, "a", now + timedelta(seconds=30))
    assert rows[1].next_attempt_time is None


async def test_ended_deliveries_are_kept_for_some_days(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    await add_webhook(connection, own)
    limit = now - timedelta(days=KEPT_DAYS)
    for status in STATUSES:
        await add_delivery(connection, own, f"{status} kept", status=status, created_time=limit)
        old = limit - timedelta(microseconds=1)
        await add_delivery(connection, own, f"{status} old", status=status, created_time=old)
    assert await delete_old_deliveries(connection, **own) == 2
    names = await connection.fetchval("SELECT array_agg(id ORDER BY id) FROM webhook_delivery")
    assert names == sorted([*(f"{status} kept" for status in STATUSES), "pending old"])


async def test_of_many_old_deliveries_the_oldest_are_deleted_first(
    connection: Connection, own: dict[str, Any]
) -> None:
    await add_webhook(connection, own)
    await connection.execute(
        """
        INSERT INTO webhook_delivery (organization_id, id, webhook_id, status, created_time)
        SELECT $1, number::text, $2, 'failed', now() - interval '99 days' - number * interval '1 minute'
        FROM generate_series(0, $3::integer) AS number
        """,
        own["organization_id"],
        WEBHOOK,
        DELETION_BATCH_SIZE,
    )
    assert await delete_old_deliveries(connection, **own) == DELETION_BATCH_SIZE
    assert await connection.fetchval("SELECT array_agg(id) FROM webhook_delivery") == ["0"]


async def test_the_operator_sees_and_replays_deliveries(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any], now: datetime
) -> None:
    await add_webhook(connection, own)
    await add_webhook(connection, foreign, "theirs")
    for name, status, age in (
        ("young", "failed", 1),
        ("old", "failed", 2),
        ("done", "succeeded", 3),
        ("open", "pending", 4),
    ):
        created_time = now - timedelta(days=age)
        await add_delivery(connection, own, name, status=status, created_time=created_time)

    async def numbers(organization_id: Any) -> list[tuple[str, int, int, int]]:
        rows = await list_webhook_reports(connection, organization_id=organization_id)
        return sorted((row.id, row.pending, row.failed, row.succeeded) for row in rows)

    assert await numbers(own["organization_id"]) == [(WEBHOOK, 1, 2, 1)]
    assert await numbers(None) == [(WEBHOOK, 1, 2, 1), ("theirs", 0, 0, 0)]
    for name, expected in (
        ("open", []),
        (WEBHOOK, ["old", "young"]),
        (WEBHOOK, []),
        ("done", ["done"]),
        ("unknown", []),
    ):
        assert await replay_deliveries(connection, name=name) == expected
    assert await numbers(own["organization_id"]) == [(WEBHOOK, 4, 0, 0)]
    assert await connection.fetchval("SELECT array_agg(subject_id ORDER BY subject_id) FROM job") == [
        "done",
        "old",
        "young",
    ]
