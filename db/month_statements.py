"""Statements of months that have ended, as they were then: a later change of the plan changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.statements import Connection, tenant, untyped_crossing
from pagemill.ids import OrganizationId


@tenant("""
    INSERT INTO month_statement (organization_id, month, content)
    VALUES (:organization_id, :month, :content)
    ON CONFLICT (organization_id, month) DO NOTHING
""")
async def insert_month_statement(
    connection: Connection, *, organization_id: OrganizationId, month: str, content: Mapping[str, Any]
) -> None:
    """Insert the statement of a month, unless there is one."""


@tenant("SELECT content FROM month_statement WHERE organization_id = :organization_id AND month = :month")
async def get_month_statement(
    connection: Connection, *, organization_id: OrganizationId, month: str
) -> dict[str, Any] | None:
    """Return the statement of a month."""


# What was reserved in a month may be settled a little after it: a day later the month has ended for good.
_ENDED = "date_trunc('month', (now() - interval '1 day') AT TIME ZONE 'UTC')"

ORGANIZATIONS_WITHOUT_STATEMENT = untyped_crossing(
    "month_statements.missing",
    "the schedule is the platform's, for all organizations",
    f"""
    SELECT id FROM organization
    WHERE id > $1 AND created_time < {_ENDED} AT TIME ZONE 'UTC'
        AND NOT EXISTS (
            SELECT 1 FROM month_statement
            WHERE month_statement.organization_id = organization.id
                AND month = to_char({_ENDED} - interval '1 month', 'YYYY-MM')
        )
    ORDER BY id LIMIT $2
    """,
)
