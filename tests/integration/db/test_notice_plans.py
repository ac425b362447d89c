"""What is looked up for mail and webhooks reads little, however much was told before."""

from __future__ import annotations

import asyncpg
import pytest

from db.limit_warnings import list_organizations_near_limits
from db.prediction_jobs import succeed_predictions
from db.webhook_deliveries import delete_old_deliveries, queue_deliveries
from db.webhooks import list_webhook_attempts
from pagemill.secret_box import new_secret_key, read_secret_keys
from tests.support.hooks import add_webhook
from tests.support.mailed import set_mail
from tests.support.plans import most_rows_read
from tests.support.tenants import Tenant

BOX = read_secret_keys(new_secret_key("test"))
DELIVERIES = 20_000
ORGANIZATIONS = 500
PAGE = 10


@pytest.fixture
async def webhook_id(pool: asyncpg.Pool, organization: Tenant) -> str:
    """A webhook with many attempts, and other organizations with a webhook each."""
    own = organization.organization_id
    webhook = await add_webhook(pool, own, BOX, "https://example.com")
    await pool.execute(
        """
        INSERT INTO webhook_delivery (id, organization_id, webhook_id, event_type, body, status, created_time)
        SELECT 'delivery-' || number, $1, $2, 'prediction.failed', '{}', 'succeeded',
            now() - number * interval '1 s'
        FROM generate_series(1, $3::integer) AS number
        """,
        own,
        webhook.id,
        DELIVERIES,
    )
    await pool.execute(
        """
        INSERT INTO webhook_attempt (id, organization_id, webhook_id, delivery_id, job_id, created_time)
        SELECT 'attempt-' || number, $1, $2, 'delivery-' || number, 'job', now() - number * interval '1 s'
        FROM generate_series(1, $3::integer) AS number
        """,
        own,
        webhook.id,
        DELIVERIES,
    )
    await pool.execute(
        "INSERT INTO organization (id) SELECT 'other-' || n FROM generate_series(1, $1::integer) AS n",
        ORGANIZATIONS,
    )
    await pool.execute(
        """
        INSERT INTO webhook (id, organization_id, url, event_types, key_id, nonce, ciphertext)
        SELECT 'webhook-' || id, id, 'https://example.com', '["prediction.succeeded"]', 'k', '', ''
        FROM organization WHERE id LIKE 'other-%'
        """
    )
    for table in ("webhook", "webhook_delivery", "webhook_attempt", "organization"):
        await pool.execute(f"ANALYZE {table}")
    return webhook.id


async def test_webhooks(pool: asyncpg.Pool, organization: Tenant, webhook_id: str) -> None:
    own = organization.organization_id
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection,
            list_webhook_attempts,
            organization_id=own,
            webhook_id=webhook_id,
            after_time=None,
            after_id=None,
            limit=PAGE,
        )
        assert read <= 10 * PAGE
        read = await most_rows_read(
            connection,
            succeed_predictions,
            organization_ids=[own],
            prediction_ids=["las:prediction:1"],
            predictions=["[]"],
            inference_times=[0.1],
            next_pages=[None],
            preprocess_configs=["{}"],
            month="2026-01",
        )
        assert read <= PAGE
        transaction = connection.transaction()
        await transaction.start()
        read = await most_rows_read(
            connection,
            queue_deliveries,
            organization_id=own,
            event_type="prediction.failed",
            body="{}",
            trace_context=None,
        )
        assert read <= 10 * PAGE
        assert await most_rows_read(connection, delete_old_deliveries, organization_id=own) <= 10 * PAGE
        await transaction.rollback()


async def test_a_part_of_the_organizations_is_asked_about_what_it_counts(
    pool: asyncpg.Pool, organization: Tenant, webhook_id: str
) -> None:
    """A dozen rows each: its counters of other months and its deliveries do not matter."""
    await set_mail(pool)
    await pool.execute(
        """
        UPDATE plan SET allowed = '{"pages": 100}' WHERE id = $1
        """,
        organization.plan_id,
    )
    await pool.execute("UPDATE organization SET plan_id = $1", organization.plan_id)
    await pool.execute(
        """
        INSERT INTO organization_user (id, organization_id, email, status, role_ids)
        SELECT 'user-' || id, id, 'ada@example.com', 'active', '["las:role:admin"]' FROM organization
        """
    )
    await pool.execute(
        """
        INSERT INTO usage_counter (organization_id, month, meter, used)
        SELECT organization.id, to_char(now() - number * interval '1 month', 'YYYY-MM'), 'pages', 10
        FROM organization CROSS JOIN generate_series(0, 59) AS number
        """
    )
    await pool.execute("ANALYZE")
    async with pool.acquire() as connection:
        read = await most_rows_read(connection, list_organizations_near_limits, after="", limit=1000)
    assert read <= 12 * ORGANIZATIONS
