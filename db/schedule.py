"""Scheduled jobs: the organizations concerned, and that each job exists once."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated

from db.jobs import queueing
from db.retention import DUE_TIME
from db.statements import Connection, NeverNull, crossing
from pagemill.ids import JobId, OrganizationId


@crossing("touches no tenant data", "SELECT now()")
async def get_time(connection: Connection) -> Annotated[datetime.datetime, NeverNull("now()")]:
    """Return the time of the transaction's beginning, by the database's clock."""


@crossing(
    "the schedule is the platform's, for all organizations",
    "SELECT id FROM organization WHERE id > :after ORDER BY id LIMIT :limit",
)
async def list_all_organizations(
    connection: Connection, *, after: str, limit: int | None
) -> list[OrganizationId]:
    """Return organizations in the order of their ids; all without a limit."""


# The one that is due first stands first in the index: one look for each organization, however much it has.
_FIRST_DUE = "SELECT {due} FROM {table} WHERE organization_id = organization.id ORDER BY {due} LIMIT 1"
_OLDEST_DOCUMENT = """
    SELECT document.created_time FROM document WHERE document.organization_id = organization.id
    ORDER BY document.created_time, document.id LIMIT 1
"""


@crossing(
    "the schedule is the platform's, for all organizations",
    f"""
    SELECT id FROM organization
    WHERE id > :after AND least(
        ({_FIRST_DUE.format(table="document", due=DUE_TIME)}),
        ({_FIRST_DUE.format(table="data_bundle", due=DUE_TIME)}),
        ({_OLDEST_DOCUMENT}) AT TIME ZONE 'UTC' + document_retention_in_days * interval '1 day'
    ) <= now() AT TIME ZONE 'UTC'
    ORDER BY id LIMIT :limit
    """,
)
async def list_organizations_with_due(
    connection: Connection, *, after: str, limit: int
) -> list[OrganizationId]:
    """Return organizations with documents or data bundles that are due, in the order of their ids."""


# In one order: two dispatchers that insert the same jobs do not wait in a ring.
@crossing(
    "the schedule is the platform's, for all organizations",
    queueing(
        ":kind",
        """
        SELECT wanted.organization_id, wanted.id, :kind, wanted.id, '{}'::jsonb, :priority::integer,
            :maximum_attempts::integer
        FROM unnest(:job_ids::text[], :organization_ids::text[]) AS wanted (id, organization_id)
        WHERE NOT EXISTS (
            SELECT 1 FROM job AS open
            WHERE open.kind = :kind AND open.organization_id = wanted.organization_id
                AND open.state = 'queued'
        ) AND NOT EXISTS (
            SELECT 1 FROM job AS open
            WHERE open.kind = :kind AND open.organization_id = wanted.organization_id
                AND open.state = 'running'
        )
        ORDER BY wanted.id
        """,
        conflict="ON CONFLICT (id) DO NOTHING",
    ),
)
async def insert_scheduled_jobs(
    connection: Connection,
    *,
    kind: str,
    job_ids: Sequence[JobId],
    organization_ids: Sequence[OrganizationId],
    priority: int,
    maximum_attempts: int,
) -> Annotated[int, NeverNull("count(*)")]:
    """Queue jobs that do not exist, unless one of the kind is open; return how many were queued."""
