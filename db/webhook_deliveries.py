"""Deliveries of events to webhooks, and the attempts to send them."""

from __future__ import annotations

from db.jobs import NEW_JOB_ID, queueing
from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

KIND = "webhook"
PRIORITY = 10
MAXIMUM_ATTEMPTS = 8
"""``pagemill.work.webhooks`` has the delays between them."""
KEPT_DAYS = 30
"""How long deliveries that have ended are kept."""
FORGOTTEN_AT_ONCE = 100


def is_wanted(event_type: str, *, organization: str = "$1") -> str:
    """An expression for statements that write outcomes: whether anybody of the organization is to be told."""
    return f"""EXISTS (
        SELECT FROM webhook
        WHERE webhook.organization_id = {organization} AND webhook.status = 'enabled'
            AND webhook.event_types ? '{event_type}'
    )"""


# One delivery, and its job, for each webhook that wants the event. The webhooks are held: one that is deleted
# at the same time must not take the outcome with it.
TELL_WEBHOOKS = tenant(
    "webhooks.tell",
    queueing(
        f"'{KIND}'",
        f"SELECT $1, {NEW_JOB_ID}, '{KIND}', id, '{{}}'::jsonb, {PRIORITY}, {MAXIMUM_ATTEMPTS} FROM delivery",
        parts=f"""
        wanting AS (
            SELECT id FROM webhook
            WHERE organization_id = $1 AND status = 'enabled' AND event_types ? $2
            ORDER BY id FOR KEY SHARE
        ), delivery AS (
            INSERT INTO webhook_delivery (organization_id, id, webhook_id, event_type, body)
            SELECT $1, 'las:webhook-delivery:' || {NEW_JOB_ID}, id, $2, $3 FROM wanting
            RETURNING id
        ),
        """,
    ),
)

DELIVERY_WORK = tenant(
    "webhooks.delivery_work",
    """
    SELECT delivery.body, delivery.status, webhook.id AS webhook_id, webhook.url,
        webhook.status AS webhook_status, webhook.key_id, webhook.nonce, webhook.ciphertext
    FROM webhook_delivery AS delivery JOIN webhook ON webhook.id = delivery.webhook_id
    WHERE delivery.organization_id = $1 AND delivery.id = $2
    """,
)

# How often this job has tried.
COUNT_ATTEMPTS = tenant(
    "webhooks.count_attempts",
    "SELECT count(*) FROM webhook_attempt WHERE organization_id = $1 AND delivery_id = $2 AND job_id = $3",
)

# Before its deliveries are written to, as those do who delete it: the other way round would deadlock.
HOLD_WEBHOOK = tenant(
    "webhooks.hold", "SELECT id FROM webhook WHERE organization_id = $1 AND id = $2 FOR KEY SHARE"
)

INSERT_ATTEMPT = tenant(
    "webhooks.insert_attempt",
    """
    INSERT INTO webhook_attempt (
        organization_id, id, webhook_id, delivery_id, job_id, status_code, error, next_attempt_time,
        created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 second', now())
    """,
)

END_DELIVERY = tenant(
    "webhooks.end_delivery",
    "UPDATE webhook_delivery SET status = $3 WHERE organization_id = $1 AND id = $2 AND status = 'pending'",
)

REOPEN_DELIVERY = tenant(
    "webhooks.reopen_delivery",
    """
    UPDATE webhook_delivery SET status = 'pending'
    WHERE organization_id = $1 AND id = $2 AND status <> 'pending'
    RETURNING id
    """,
)

DISABLE_WEBHOOK = tenant(
    "webhooks.disable",
    """
    UPDATE webhook SET status = 'disabled', updated_time = now(), updated_by = NULL
    WHERE organization_id = $1 AND id = $2 AND url = $3
    """,
)

FORGET_DELIVERIES = tenant(
    "webhooks.forget_deliveries",
    f"""
    DELETE FROM webhook_delivery WHERE organization_id = $1 AND id IN (
        SELECT id FROM webhook_delivery
        WHERE organization_id = $1 AND created_time < now() - interval '{KEPT_DAYS} days'
            AND status <> 'pending'
        ORDER BY created_time LIMIT {FORGOTTEN_AT_ONCE}
    )
    """,
)

ALL_WEBHOOKS = crossing(
    "webhooks.all",
    "the operator looks at all organizations",
    """
    SELECT webhook.id, webhook.organization_id, webhook.name, webhook.url, webhook.event_types,
        webhook.status,
        count(delivery.id) FILTER (WHERE delivery.status = 'pending') AS pending,
        count(delivery.id) FILTER (WHERE delivery.status = 'failed') AS failed,
        count(delivery.id) FILTER (WHERE delivery.status = 'succeeded') AS succeeded
    FROM webhook LEFT JOIN webhook_delivery AS delivery ON delivery.webhook_id = webhook.id
    WHERE $1::text IS NULL OR webhook.organization_id = $1
    GROUP BY webhook.id ORDER BY webhook.organization_id, webhook.created_time, webhook.id
    """,
)

ATTEMPTS_OF = crossing(
    "webhooks.attempts_of",
    "the operator names a webhook or a delivery, not its organization",
    """
    SELECT attempt.webhook_id, attempt.delivery_id, delivery.event_type, attempt.created_time,
        attempt.status_code, attempt.error, attempt.next_attempt_time
    FROM webhook_attempt AS attempt JOIN webhook_delivery AS delivery ON delivery.id = attempt.delivery_id
    WHERE attempt.webhook_id = $1 OR attempt.delivery_id = $1
    ORDER BY attempt.created_time DESC, attempt.id DESC LIMIT $2
    """,
)

# A delivery by its id, whatever its outcome; of a webhook those that failed. Oldest first.
REPLAY_DELIVERIES = crossing(
    "webhooks.replay",
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
            WHERE (id = $1 OR (webhook_id = $1 AND status = 'failed')) AND status <> 'pending'
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
