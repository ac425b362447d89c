"""Audit events: who did what to which resource. They are added, and deleted when they are old."""

from __future__ import annotations

import datetime
from typing import Any, Literal, TypeAlias

from db.keyset import Order
from db.statements import Connection, Row, RowCount, columns, crossing, tenant
from pagemill.ids import AuditEventId, OrganizationId, PrincipalId, ProfileId

Outcome: TypeAlias = Literal["succeeded", "refused"]


class AuditEventRow(Row):
    """An event; without an organization it is the operator's, or of somebody who has not signed in."""

    id: AuditEventId
    organization_id: OrganizationId | None
    time: datetime.datetime
    principal_id: PrincipalId | None
    profile_id: ProfileId | None
    action: str
    resource_id: str | None
    outcome: str
    address: str | None
    request_id: str | None
    details: dict[str, Any]


_FILTERS = """
    (:principal_id::text IS NULL OR principal_id = :principal_id)
    AND (:resource_id::text IS NULL OR resource_id = :resource_id)
    AND (:action::text IS NULL OR action = :action)
    AND (:outcome::text IS NULL OR outcome = :outcome)
    AND (:from_time::timestamptz IS NULL OR time >= :from_time)
    AND (:to_time::timestamptz IS NULL OR time < :to_time)
"""


@crossing(
    "what happens before a person has signed in belongs to no organization",
    """
    INSERT INTO audit_event (
        id, organization_id, time, principal_id, profile_id, action, resource_id, outcome, address,
        request_id, details
    )
    VALUES (
        :event_id, :organization_id, clock_timestamp(), :principal_id,
        coalesce(:profile_id, (
            SELECT person.profile_id FROM organization_user AS person
            WHERE person.organization_id = :organization_id AND person.id = :principal_id
        )),
        :action, :resource_id, :outcome, :address, :request_id, :details
    )
    """,
)
async def insert_audit_event(
    connection: Connection,
    *,
    event_id: AuditEventId,
    organization_id: OrganizationId | None,
    principal_id: PrincipalId | None,
    profile_id: ProfileId | None,
    action: str,
    resource_id: str | None,
    outcome: Outcome,
    address: str | None,
    request_id: str | None,
    details: dict[str, Any],
) -> None:
    """Add an event."""


@tenant(f"""
    SELECT {columns(AuditEventRow)} FROM audit_event
    WHERE organization_id = :organization_id AND {_FILTERS}
        AND (time, id) > (coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, ''))
    ORDER BY time, id LIMIT :limit
""")
async def list_audit_events_ascending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    principal_id: PrincipalId | None,
    resource_id: str | None,
    action: str | None,
    outcome: Outcome | None,
    from_time: datetime.datetime | None,
    to_time: datetime.datetime | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[AuditEventRow]:
    """Return a page of events, oldest first; a filter that is None takes all."""


@tenant(f"""
    SELECT {columns(AuditEventRow)} FROM audit_event
    WHERE organization_id = :organization_id AND {_FILTERS}
        AND (time, id) < (coalesce(:after_time::timestamptz, 'infinity'), coalesce(:after_id::text, ''))
    ORDER BY time DESC, id DESC LIMIT :limit
""")
async def list_audit_events_descending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    principal_id: PrincipalId | None,
    resource_id: str | None,
    action: str | None,
    outcome: Outcome | None,
    from_time: datetime.datetime | None,
    to_time: datetime.datetime | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[AuditEventRow]:
    """Return a page of events, newest first; a filter that is None takes all."""


async def list_audit_events(
    connection: Connection,
    *,
    order: Order,
    organization_id: OrganizationId,
    principal_id: PrincipalId | None,
    resource_id: str | None,
    action: str | None,
    outcome: Outcome | None,
    from_time: datetime.datetime | None,
    to_time: datetime.datetime | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[AuditEventRow]:
    """Return a page of an organization's events, sorted by their time."""
    statement = list_audit_events_ascending if order == "ascending" else list_audit_events_descending
    return await statement(
        connection,
        organization_id=organization_id,
        principal_id=principal_id,
        resource_id=resource_id,
        action=action,
        outcome=outcome,
        from_time=from_time,
        to_time=to_time,
        after_time=after_time,
        after_id=after_id,
        limit=limit,
    )


@crossing(
    "the operator sees what was done in all organizations, and by nobody's",
    f"""
    SELECT {columns(AuditEventRow)} FROM audit_event
    WHERE (:organization_id::text IS NULL OR organization_id = :organization_id) AND {_FILTERS}
    ORDER BY time DESC, id DESC LIMIT :limit
    """,
)
async def list_newest_audit_events(
    connection: Connection,
    *,
    organization_id: OrganizationId | None,
    principal_id: PrincipalId | None,
    resource_id: str | None,
    action: str | None,
    outcome: Outcome | None,
    from_time: datetime.datetime | None,
    to_time: datetime.datetime | None,
    limit: int,
) -> list[AuditEventRow]:
    """Return the newest events of an organization, or of all, the newest first."""


# A trigger refuses deletions, except in a transaction that says that it is retention.
_RETENTION = "(SELECT set_config('pagemill.audit_retention', 'on', true)) = 'on'"


@tenant(f"""
    DELETE FROM audit_event WHERE {_RETENTION} AND organization_id = :organization_id AND id IN (
        SELECT old.id FROM audit_event AS old
        WHERE old.organization_id = :organization_id AND old.time < now() - make_interval(secs => :seconds)
        ORDER BY old.time, old.id LIMIT :limit
    )
""")
async def delete_old_audit_events(
    connection: Connection, *, organization_id: OrganizationId, seconds: float, limit: int
) -> RowCount:
    """Delete some of an organization's events that are older, the oldest first."""


@crossing(
    "events of nobody's are deleted like those of organizations",
    f"""
    DELETE FROM audit_event WHERE {_RETENTION} AND id IN (
        SELECT old.id FROM audit_event AS old
        WHERE old.organization_id IS NULL AND old.time < now() - make_interval(secs => :seconds)
        ORDER BY old.time, old.id LIMIT :limit
    )
    """,
)
async def delete_old_audit_events_of_nobody(
    connection: Connection, *, seconds: float, limit: int
) -> RowCount:
    """Delete some events that are older and of no organization."""


@crossing(
    "the schedule is the platform's, for all organizations",
    """
    SELECT id FROM organization
    WHERE id > :after AND (
        EXISTS (
            SELECT FROM audit_event
            WHERE organization_id = organization.id AND time < now() - interval '1 day'
        )
        OR (id = (SELECT min(first.id) FROM organization AS first) AND EXISTS (
            SELECT FROM audit_event WHERE organization_id IS NULL AND time < now() - interval '1 day'
        ))
    )
    ORDER BY id LIMIT :limit
    """,
)
async def list_organizations_with_audit_events(
    connection: Connection, *, after: str, limit: int
) -> list[OrganizationId]:
    """Return organizations with events that may be old; the first also looks after those of nobody's."""
