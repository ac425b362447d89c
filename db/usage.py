"""Statements that count usage: check and increment are always one statement.

``usage_counter.month`` is ``YYYY-MM`` or ``total``. 2,000,000,000 is the limit of what a plan does not name.
"""

from __future__ import annotations

from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

COUNT_GUARDED = tenant(
    "usage.count_guarded",
    """
    WITH plan_limit AS MATERIALIZED (
        SELECT CASE
            WHEN $3 IN ('pages', 'fields') AND plan.limited_by <> $3 THEN 'Infinity'::numeric
            ELSE coalesce((plan.allowed ->> $3)::numeric, 2000000000)
        END AS allowed
        FROM organization LEFT JOIN plan ON plan.id = organization.plan_id
        WHERE organization.id = $1
    )
    INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
    SELECT $1, $2, $3, $4::numeric FROM plan_limit WHERE $4::numeric <= allowed
    ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
    WHERE counter.used + excluded.used <= (SELECT allowed FROM plan_limit)
    RETURNING used
    """,
)

# Against a limit that is not the plan's.
COUNT_WITHIN = tenant(
    "usage.count_within",
    """
    INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
    SELECT $1, $2, $3, $4::numeric WHERE $4::numeric <= $5::numeric
    ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
    WHERE counter.used + excluded.used <= $5::numeric
    RETURNING used
    """,
)

COUNT_FREELY = tenant(
    "usage.count_freely",
    """
    INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
    VALUES ($1, $2, $3, $4::numeric)
    ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
    """,
)

UNCOUNT = tenant(
    "usage.uncount",
    """
    UPDATE usage_counter SET used = greatest(used - $4::numeric, 0)
    WHERE organization_id = $1 AND month = $2 AND meter = $3
    """,
)

# The marker row of each model makes it count once a month, however many predictions end at the same time.
COUNT_ACTIVE_MODEL = tenant(
    "usage.count_active_model",
    """
    WITH first AS (
        INSERT INTO usage_counter (organization_id, month, meter, used)
        VALUES ($1, $2, 'active-model ' || $3, 1)
        ON CONFLICT (organization_id, month, meter) DO NOTHING
        RETURNING organization_id
    )
    INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
    SELECT $1, $2, 'active-models', 1 FROM first
    ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + 1
    """,
)

FORGET_METER = tenant(
    "usage.forget_meter", "DELETE FROM usage_counter WHERE organization_id = $1 AND meter = $2"
)

RESERVE = tenant(
    "usage.reserve",
    """
    INSERT INTO usage_reservation (organization_id, job_id, month, meter, amount)
    SELECT $1, wanted.job_id, wanted.month, wanted.meter, wanted.amount
    FROM unnest($2::text[], $3::text[], $4::text[], $5::numeric[]) AS wanted (job_id, month, meter, amount)
    ON CONFLICT (job_id, meter) DO NOTHING
    RETURNING job_id, month, meter, amount
    """,
)

# What a plan allows of a meter: all of what it does not name, and of pages or fields only one is limited.
_ALLOWED = """
    CASE
        WHEN {meter} IN ('pages', 'fields') AND plan.limited_by <> {meter} THEN 'Infinity'::numeric
        ELSE coalesce((plan.allowed ->> {meter})::numeric, 2000000000)
    END
"""

# SQLSTATE of what RESERVE_TOGETHER raises when all of it together is too much for an organization.
EXCEEDED = "PM429"

# Jobs are locked before counters, both in one order for everybody: nobody waits in a ring. It needs no
# transaction around it: all of it is counted, or nothing.
RESERVE_TOGETHER = crossing(
    "usage.reserve_together",
    "the reservations of all organizations share one statement and one commit",
    f"""
    WITH wanted AS MATERIALIZED (
        SELECT organization_id, job_id, month, meter, amount::numeric
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
            AS wanted (organization_id, job_id, month, meter, amount)
    ), open AS MATERIALIZED (
        SELECT found.organization_id, found.id
        FROM (SELECT DISTINCT organization_id, job_id FROM wanted ORDER BY job_id) AS asking
        CROSS JOIN LATERAL (
            SELECT organization_id, id, state FROM job WHERE id = asking.job_id OFFSET 0 FOR SHARE
        ) AS found
        WHERE found.organization_id = asking.organization_id AND found.state IN ('queued', 'running')
    ), reserved AS (
        INSERT INTO usage_reservation (organization_id, job_id, month, meter, amount)
        SELECT wanted.organization_id, wanted.job_id, wanted.month, wanted.meter, wanted.amount
        FROM wanted JOIN open ON open.id = wanted.job_id AND open.organization_id = wanted.organization_id
        ORDER BY wanted.job_id, wanted.meter
        ON CONFLICT (job_id, meter) DO NOTHING
        RETURNING organization_id, month, meter, amount
    ), total AS MATERIALIZED (
        SELECT organization_id, month, meter, sum(amount) AS amount FROM reserved
        GROUP BY organization_id, month, meter
    ), counted AS (
        INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
        SELECT organization_id, month, meter, amount FROM total
        ORDER BY organization_id, month, meter
        ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
        RETURNING organization_id, meter, used
    )
    SELECT
        ARRAY(SELECT job_id FROM wanted EXCEPT SELECT id FROM open) AS ended_jobs,
        refuse_exceeded(ARRAY(
            SELECT counted.organization_id FROM counted
            JOIN organization ON organization.id = counted.organization_id
            LEFT JOIN plan ON plan.id = organization.plan_id
            WHERE counted.used > {_ALLOWED.format(meter="counted.meter")}
        ))
    """,
)

RESERVED_AMONG = crossing(
    "usage.reserved_among",
    "the reservations of all organizations share one commit",
    "SELECT job_id, meter FROM usage_reservation WHERE job_id = ANY($1::text[])",
)

# A counter that does not exist yet cannot be locked: its room is a guess then.
LOCK_ROOM = crossing(
    "usage.lock_room",
    "the reservations of all organizations share one commit",
    f"""
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (organization_id, month, meter)
    ), locked AS MATERIALIZED (
        SELECT counter.organization_id, counter.meter, counter.used
        FROM usage_counter AS counter JOIN wanted USING (organization_id, month, meter)
        ORDER BY counter.organization_id, counter.month, counter.meter FOR UPDATE OF counter
    )
    SELECT wanted.organization_id, wanted.meter,
        {_ALLOWED.format(meter="wanted.meter")} - coalesce(locked.used, 0) AS room
    FROM wanted
    LEFT JOIN locked USING (organization_id, meter)
    JOIN organization ON organization.id = wanted.organization_id
    LEFT JOIN plan ON plan.id = organization.plan_id
    """,
)

TAKE_RESERVATIONS = tenant(
    "usage.take_reservations",
    """
    DELETE FROM usage_reservation WHERE organization_id = $1 AND job_id = $2
    RETURNING month, meter, amount
    """,
)

TAKE_RESERVATIONS_OF_MANY = crossing(
    "usage.take_reservations_of_many",
    "jobs of all organizations that ended at the same time share a commit",
    """
    DELETE FROM usage_reservation AS reserved
    USING unnest($1::text[], $2::text[]) AS ended (organization_id, job_id)
    WHERE reserved.job_id = ended.job_id AND reserved.organization_id = ended.organization_id
    RETURNING reserved.organization_id, reserved.job_id, month, meter, amount
    """,
)

USED = tenant(
    "usage.used",
    """
    SELECT meter, used FROM usage_counter
    WHERE organization_id = $1 AND month IN ($2, 'total') AND meter = ANY($3::text[])
    """,
)

USED_BY_MANY = crossing(
    "usage.used_by_many",
    "a person sees all organizations it belongs to",
    """
    SELECT organization_id, meter, used FROM usage_counter
    WHERE organization_id = ANY($1::text[]) AND month IN ($2, 'total') AND meter = ANY($3::text[])
    """,
)

PLAN_LIMITS_OF_MANY = crossing(
    "usage.plan_limits_of_many",
    "a person sees all organizations it belongs to",
    """
    SELECT organization.id AS organization_id, plan.allowed, plan.limited_by
    FROM organization LEFT JOIN plan ON plan.id = organization.plan_id
    WHERE organization.id = ANY($1::text[])
    """,
)

PLAN_LIMITS = tenant(
    "usage.plan_limits",
    """
    SELECT plan.allowed, plan.limited_by
    FROM organization LEFT JOIN plan ON plan.id = organization.plan_id
    WHERE organization.id = $1
    """,
)

# Of pages and fields the one that the plan limits, and whether it is used up. $2 is the month.
LIMITED_METER = tenant(
    "usage.limited_meter",
    f"""
    SELECT limited.meter, coalesce(counter.used, 0) >= {_ALLOWED.format(meter="limited.meter")} AS used_up
    FROM organization
    LEFT JOIN plan ON plan.id = organization.plan_id
    CROSS JOIN LATERAL (SELECT coalesce(plan.limited_by, 'pages') AS meter) AS limited
    LEFT JOIN usage_counter AS counter
        ON counter.organization_id = $1 AND counter.month = $2 AND counter.meter = limited.meter
    WHERE organization.id = $1
    """,
)

# $2 tokens a second, at most $3 kept, $4 taken. clock_timestamp(): a taker may have waited for the row.
TAKE_REQUESTS = tenant(
    "usage.take_requests",
    """
    INSERT INTO request_allowance AS bucket (organization_id, tokens, granted, refilled_time)
    VALUES ($1, $3::float8 - least($4::integer, floor($3::float8)), least($4::integer, floor($3::float8)),
            clock_timestamp())
    ON CONFLICT (organization_id) DO UPDATE SET (tokens, granted, refilled_time) = (
        SELECT available - taken, taken, refilled_at
        FROM (
            SELECT available, least($4::integer, floor(available)) AS taken, refilled_at
            FROM (
                SELECT refilled_at, least($3::float8, bucket.tokens + $2::float8 * greatest(
                    0, extract(epoch FROM refilled_at - bucket.refilled_time)::float8
                )) AS available
                FROM (SELECT clock_timestamp() AS refilled_at) AS reading
            ) AS refilled
        ) AS spent
    )
    RETURNING granted, tokens
    """,
)
