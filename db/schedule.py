"""Jobs that exist by schedule: for which organizations, and that each exists once."""

from __future__ import annotations

from db.jobs import queueing
from db.retention import DUE_TIME
from db.statements import untyped_crossing as crossing

NOW = crossing("schedule.now", "touches no tenant data", "SELECT now()")

EVERY_ORGANIZATION = crossing(
    "schedule.every_organization",
    "the schedule is the platform's, for all organizations",
    "SELECT id FROM organization WHERE id > $1 ORDER BY id LIMIT $2",
)

# The one that is due first stands first in the index: one look for each organization, however much it has.
_FIRST_DUE = "SELECT {due} FROM {table} WHERE organization_id = organization.id ORDER BY {due} LIMIT 1"

ORGANIZATIONS_WITH_DUE = crossing(
    "schedule.organizations_with_due",
    "the schedule is the platform's, for all organizations",
    f"""
    SELECT id FROM organization
    WHERE id > $1 AND least(
        ({_FIRST_DUE.format(table="document", due=DUE_TIME)}),
        ({_FIRST_DUE.format(table="data_bundle", due=DUE_TIME)})
    ) <= now() AT TIME ZONE 'UTC'
    ORDER BY id LIMIT $2
    """,
)

# In one order: two dispatchers that insert the same jobs do not wait in a ring.
ENQUEUE = crossing(
    "schedule.enqueue",
    "the schedule is the platform's, for all organizations",
    queueing(
        "$1",
        """
        SELECT wanted.organization_id, wanted.id, $1, wanted.id, '{}'::jsonb, $4::integer, $5::integer
        FROM unnest($2::text[], $3::text[]) AS wanted (id, organization_id)
        WHERE NOT EXISTS (
            SELECT 1 FROM job AS open
            WHERE open.kind = $1 AND open.organization_id = wanted.organization_id AND open.state = 'queued'
        ) AND NOT EXISTS (
            SELECT 1 FROM job AS open
            WHERE open.kind = $1 AND open.organization_id = wanted.organization_id AND open.state = 'running'
        )
        ORDER BY wanted.id
        """,
        conflict="ON CONFLICT (id) DO NOTHING",
    ),
)
