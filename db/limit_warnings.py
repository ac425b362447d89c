"""Meters that come close to their limits; they are looked for on a schedule, so counting is not slower."""

from __future__ import annotations

from typing import Annotated

from db.mail import AVAILABLE, owners_of, queueing_mail
from db.plan_limits import UNLIMITED, allowed_by_plan
from db.statements import Connection, NeverNull, crossing, tenant
from pagemill.ids import OrganizationId

THRESHOLDS = (80, 100)
"""Percent of the limit."""
_MONTH = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')"
_OWN_PLAN = "(SELECT plan_id FROM organization WHERE id = :organization_id)"


def _near(*, organization: str, plan: str) -> str:
    """Return a query for the thresholds of an organization's meters that it was not told of this month."""
    return f"""
        SELECT counter.meter, counter.used, limits.allowed, steps.threshold
        FROM plan
        JOIN usage_counter AS counter
            ON counter.organization_id = {organization} AND counter.month IN ({_MONTH}, 'total')
        CROSS JOIN LATERAL (SELECT {allowed_by_plan("counter.meter")} AS allowed) AS limits
        CROSS JOIN unnest(ARRAY[{", ".join(map(str, THRESHOLDS))}]) AS steps (threshold)
        WHERE plan.id = {plan} AND limits.allowed > 0 AND limits.allowed < {UNLIMITED}
            AND counter.used * 100 >= limits.allowed * steps.threshold
            AND NOT EXISTS (
                SELECT FROM limit_warning AS told
                WHERE told.organization_id = {organization} AND told.month = {_MONTH}
                    AND told.meter = counter.meter AND told.threshold = steps.threshold
            )
    """


@crossing(
    "the schedule is the platform's, for all organizations",
    f"""
    SELECT id FROM organization
    WHERE id > :after AND {AVAILABLE}
        AND EXISTS ({_near(organization="organization.id", plan="organization.plan_id")})
        AND EXISTS ({owners_of("organization.id")})
    ORDER BY id LIMIT :limit
    """,
)
async def list_organizations_near_limits(
    connection: Connection, *, after: str, limit: int
) -> list[OrganizationId]:
    """Return organizations with warnings to mail, in the order of their ids."""


# The inserted markers decide what is told; of several thresholds of a meter the highest is told.
@tenant(
    queueing_mail(
        parts=f"""
            near AS MATERIALIZED (
                {_near(organization=":organization_id", plan=_OWN_PLAN)}
            ), marked AS (
                INSERT INTO limit_warning (organization_id, month, meter, threshold)
                SELECT :organization_id, {_MONTH}, meter, threshold FROM near
                WHERE {AVAILABLE} AND EXISTS ({owners_of()})
                ON CONFLICT (organization_id, month, meter, threshold) DO NOTHING
                RETURNING meter, threshold
            ), forgotten AS (
                DELETE FROM limit_warning WHERE organization_id = :organization_id AND month < {_MONTH}
            ), highest AS (
                SELECT DISTINCT ON (meter) meter, threshold, used, allowed
                FROM marked JOIN near USING (meter, threshold)
                ORDER BY meter, threshold DESC
            ),
        """,
        recipients=f"{owners_of()} AND EXISTS (SELECT FROM highest)",
        payload=f"""jsonb_build_object('notice', 'limits', 'month', {_MONTH}, 'meters', (
            SELECT jsonb_agg(jsonb_build_object(
                'meter', meter, 'threshold', threshold, 'used', used, 'allowed', allowed
            ) ORDER BY meter) FROM highest
        ))""",
    )
)
async def mail_limits(
    connection: Connection, *, organization_id: OrganizationId
) -> Annotated[int, NeverNull("count(*)")]:
    """Queue mail to the owners on thresholds that they were not told of this month."""
