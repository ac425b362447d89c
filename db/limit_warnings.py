"""Meters that come close to their limits. Looked for now and then, so that counting costs nothing more."""

from __future__ import annotations

from db.mail import AVAILABLE, OWNERS, queueing_mail
from db.plan_limits import UNLIMITED, allowed_by_plan
from db.statements import untyped_crossing as crossing

THRESHOLDS = (80, 100)
"""Percent of the limit."""
_MONTH = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')"

# What an organization has not been told of this month.
_NEAR = f"""
    SELECT counter.meter, counter.used, limits.allowed, steps.threshold
    FROM plan
    JOIN usage_counter AS counter
        ON counter.organization_id = {{organization}} AND counter.month IN ({_MONTH}, 'total')
    CROSS JOIN LATERAL (SELECT {allowed_by_plan("counter.meter")} AS allowed) AS limits
    CROSS JOIN unnest(ARRAY[{", ".join(map(str, THRESHOLDS))}]) AS steps (threshold)
    WHERE plan.id = {{plan}} AND limits.allowed > 0 AND limits.allowed < {UNLIMITED}
        AND counter.used * 100 >= limits.allowed * steps.threshold
        AND NOT EXISTS (
            SELECT FROM limit_warning AS told
            WHERE told.organization_id = {{organization}} AND told.month = {_MONTH}
                AND told.meter = counter.meter AND told.threshold = steps.threshold
        )
"""

ORGANIZATIONS_NEAR_LIMITS = crossing(
    "limit_warnings.organizations",
    "the schedule is the platform's, for all organizations",
    f"""
    SELECT id FROM organization
    WHERE id > $1 AND {AVAILABLE}
        AND EXISTS ({_NEAR.format(organization="organization.id", plan="organization.plan_id")})
        AND EXISTS ({OWNERS.replace("$1", "organization.id")})
    ORDER BY id LIMIT $2
    """,
)

# Whoever inserts the marker tells; of several thresholds of a meter the highest is told.
MAIL_LIMITS = queueing_mail(
    "mail.limits",
    parts=f"""
        near AS MATERIALIZED (
            {_NEAR.format(organization="$1", plan="(SELECT plan_id FROM organization WHERE id = $1)")}
        ), marked AS (
            INSERT INTO limit_warning (organization_id, month, meter, threshold)
            SELECT $1, {_MONTH}, meter, threshold FROM near WHERE {AVAILABLE} AND EXISTS ({OWNERS})
            ON CONFLICT (organization_id, month, meter, threshold) DO NOTHING
            RETURNING meter, threshold
        ), forgotten AS (
            DELETE FROM limit_warning WHERE organization_id = $1 AND month < {_MONTH}
        ), highest AS (
            SELECT DISTINCT ON (meter) meter, threshold, used, allowed
            FROM marked JOIN near USING (meter, threshold)
            ORDER BY meter, threshold DESC
        ),
    """,
    recipients=f"{OWNERS} AND EXISTS (SELECT FROM highest)",
    payload=f"""jsonb_build_object('notice', 'limits', 'month', {_MONTH}, 'meters', (
        SELECT jsonb_agg(jsonb_build_object(
            'meter', meter, 'threshold', threshold, 'used', used, 'allowed', allowed
        ) ORDER BY meter) FROM highest
    ))""",
)
