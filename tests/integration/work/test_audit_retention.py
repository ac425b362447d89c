"""Tests of the job that forgets old audit events."""

from __future__ import annotations

import asyncpg

from db.audit_events import list_organizations_with_audit_events
from pagemill.audit import AuditEvent, record
from pagemill.ids import OrganizationId
from pagemill.jobs.queue import enqueue
from pagemill.work.audit_retention import AUDIT_RETENTION, AuditRetentionRunner
from tests.support.seeds import claim_job
from tests.support.tenants import Tenant

YEAR = 365 * 86400.0


async def add(pool: asyncpg.Pool, organization_id: OrganizationId | None, action: str, *, days: int) -> None:
    """An event of so many days ago; only its owner can give it another time."""
    async with pool.acquire() as connection, connection.transaction():
        await record(connection, AuditEvent(action=action, organization_id=organization_id))
        await connection.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_is_kept")
        await connection.execute(
            "UPDATE audit_event SET time = now() - make_interval(days => $2) WHERE action = $1", action, days
        )
        await connection.execute("ALTER TABLE audit_event ENABLE TRIGGER audit_event_is_kept")


async def test_old_events_go_and_others_stay(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    own, other = organization.organization_id, other_organization.organization_id
    for days in (0, 300, 366, 800):
        await add(pool, own, f"own {days}", days=days)
    await add(pool, other, "other 800", days=800)
    await add(pool, None, "nobody's 800", days=800)
    await add(pool, None, "nobody's 1", days=1)
    async with pool.acquire() as connection:
        await enqueue(connection, AUDIT_RETENTION, organization_id=own, subject_id=own)
    await AuditRetentionRunner(pool, YEAR)(await claim_job(pool, AUDIT_RETENTION))
    kept = {row["action"] for row in await pool.fetch("SELECT action FROM audit_event")}
    assert kept == {"own 0", "own 300", "other 800", "nobody's 1"}


async def test_organizations_without_old_events_get_no_job(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    async def due() -> list[str]:
        async with pool.acquire() as connection:
            return list(await list_organizations_with_audit_events(connection, after="", limit=10))

    await add(pool, organization.organization_id, "new", days=0)
    assert await due() == []
    await add(pool, organization.organization_id, "old", days=2)
    assert await due() == [organization.organization_id]
    await add(pool, None, "nobody's", days=2)
    first = min(organization.organization_id, other_organization.organization_id)
    assert first in await due()
