"""Counting of several meters by one statement, for one organization or for many.

Rows are locked in one order; check and increment are one statement, as in ``db/usage.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from db.plan_limits import allowed_by_plan
from db.statements import Connection, Row, columns, crossing
from pagemill.ids import OrganizationId


class CountedRow(Row):
    """A meter of an organization that was counted."""

    organization_id: OrganizationId
    meter: str


@crossing(
    "steps of all organizations that go on at the same time share a commit",
    f"""
    WITH wanted AS MATERIALIZED (
        SELECT one.organization_id, one.month, one.meter, one.amount,
            coalesce(one.allowed, {allowed_by_plan("one.meter")}) AS allowed
        FROM unnest(
            :organization_ids::text[], :months::text[], :meters::text[], :amounts::numeric[],
            :allowances::numeric[]
        ) AS one (organization_id, month, meter, amount, allowed)
        JOIN organization ON organization.id = one.organization_id
        LEFT JOIN plan ON plan.id = organization.plan_id
    )
    INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
    SELECT organization_id, month, meter, amount FROM wanted WHERE amount <= allowed
    ORDER BY organization_id, month, meter
    ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
    WHERE counter.used + excluded.used <= (
        SELECT allowed FROM wanted
        WHERE wanted.organization_id = counter.organization_id AND wanted.month = counter.month
            AND wanted.meter = counter.meter
    )
    RETURNING {columns(CountedRow)}
    """,
)
async def count_each(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    months: Sequence[str],
    meters: Sequence[str],
    amounts: Sequence[Decimal],
    allowances: Sequence[Decimal | None],
) -> list[CountedRow]:
    """Count units of meters that are named once each; return those of which the plan allows as much.

    An allowance that is not null counts in place of the plan's.
    """
