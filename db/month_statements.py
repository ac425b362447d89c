"""Statements of months that have ended; a later change of the plan does not change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.statements import Connection, crossing, tenant
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


# Reservations of a month may be settled a little after its end: a day later the month has ended for good.
_ENDED = "date_trunc('month', (now() - interval '1 day') AT TIME ZONE 'UTC')"


@crossing(
    "the schedule is the platform's, for all organizations",
    f"""
    SELECT id FROM organization
    WHERE id > :after AND created_time < {_ENDED} AT TIME ZONE 'UTC'
        AND NOT EXISTS (
            SELECT 1 FROM month_statement
            WHERE month_statement.organization_id = organization.id
                AND month = to_char({_ENDED} - interval '1 month', 'YYYY-MM')
        )
    ORDER BY id LIMIT :limit
    """,
)
async def list_organizations_without_statement(
    connection: Connection, *, after: str, limit: int
) -> list[OrganizationId]:
    """Return organizations without a statement of the last month, in the order of their ids."""
