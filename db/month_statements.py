"""Statements of months that have ended, as they were then: a later change of the plan changes nothing."""

from __future__ import annotations

from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

INSERT_MONTH_STATEMENT = tenant(
    "month_statements.insert",
    """
    INSERT INTO month_statement (organization_id, month, content)
    VALUES ($1, $2, $3)
    ON CONFLICT (organization_id, month) DO NOTHING
    """,
)

GET_MONTH_STATEMENT = tenant(
    "month_statements.get",
    "SELECT content FROM month_statement WHERE organization_id = $1 AND month = $2",
)

# What was reserved in a month may be settled a little after it: a day later the month has ended for good.
_ENDED = "date_trunc('month', (now() - interval '1 day') AT TIME ZONE 'UTC')"

ORGANIZATIONS_WITHOUT_STATEMENT = crossing(
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
