"""Statements that count usage; check and increment are always one statement.

``month`` is ``YYYY-MM``, or ``total`` for meters of what exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from db.plan_limits import LimitedBy, allowed_by_plan
from db.statements import Connection, NeverNull, Row, columns, crossing, tenant
from pagemill.ids import JobId, OrganizationId

WORKFLOW_METER_PREFIX = "workflow-executions "
"""Begins the meter of the executions of one workflow; its id follows."""
EXCEEDED_SQLSTATE = "PM429"
"""SQLSTATE that the function ``refuse_exceeded`` raises."""


WITHIN_PLAN = f"""
    plan_limit AS MATERIALIZED (
        SELECT {allowed_by_plan(":meter::text")} AS allowed
        FROM organization LEFT JOIN plan ON plan.id = organization.plan_id
        WHERE organization.id = :organization_id
    ), counted AS (
        INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
        SELECT :organization_id, :month, :meter, :amount::numeric FROM plan_limit
        WHERE :amount::numeric <= allowed
        ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
        WHERE counter.used + excluded.used <= (SELECT allowed FROM plan_limit)
        RETURNING used
    )
"""
"""CTEs that count units of a meter; ``counted`` is empty and nothing is counted when the plan allows less."""


@tenant(f"WITH {WITHIN_PLAN} SELECT used FROM counted")
async def count_within_plan(
    connection: Connection, *, organization_id: OrganizationId, month: str, meter: str, amount: Decimal
) -> Decimal | None:
    """Count units and return what is used now; None, and nothing counted, when the plan allows less."""


@tenant("""
    INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
    VALUES (:organization_id, :month, :meter, :amount::numeric)
    ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
""")
async def count_freely(
    connection: Connection, *, organization_id: OrganizationId, month: str, meter: str, amount: Decimal
) -> None:
    """Count units, whatever the plan allows."""


@tenant("""
    UPDATE usage_counter SET used = greatest(used - :amount::numeric, 0)
    WHERE organization_id = :organization_id AND month = :month AND meter = :meter
""")
async def uncount(
    connection: Connection, *, organization_id: OrganizationId, month: str, meter: str, amount: Decimal
) -> None:
    """Subtract units; the counter stays at zero when there are fewer."""


ACTIVE_MODELS = """
    marked AS (
        INSERT INTO usage_counter (organization_id, month, meter, used)
        SELECT DISTINCT organization_id, :month::text, 'active-model ' || model_id, 1 FROM succeeded
        ORDER BY 1, 3
        ON CONFLICT (organization_id, month, meter) DO NOTHING
        RETURNING organization_id
    ), active AS (
        INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
        SELECT organization_id, :month, 'active-models', count(*) FROM marked
        GROUP BY organization_id ORDER BY organization_id
        ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
        RETURNING organization_id
    )
"""
"""CTEs that count the models of the CTE ``succeeded (organization_id, model_id)``, each once a month.

The first statement to insert the marker row of a model counts it.
"""


@tenant("DELETE FROM usage_counter WHERE organization_id = :organization_id AND meter = :meter")
async def delete_meter(connection: Connection, *, organization_id: OrganizationId, meter: str) -> None:
    """Delete the counters of a meter, of all months."""


class NewReservationRow(Row):
    """Units that a job has reserved just now."""

    month: str
    meter: str
    amount: Decimal


@tenant(f"""
    INSERT INTO usage_reservation (organization_id, job_id, month, meter, amount)
    SELECT :organization_id, :job_id, wanted.month, wanted.meter, wanted.amount
    FROM unnest(:months::text[], :meters::text[], :amounts::numeric[]) AS wanted (month, meter, amount)
    ON CONFLICT (job_id, meter) DO NOTHING
    RETURNING {columns(NewReservationRow)}
""")
async def insert_reservations(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    job_id: JobId,
    months: Sequence[str],
    meters: Sequence[str],
    amounts: Sequence[Decimal],
) -> list[NewReservationRow]:
    """Insert reservations of a job and return the new ones: a job reserves each meter once."""


class CountedBatchRow(Row):
    """Result of a batch of reservations."""

    ended_jobs: Annotated[list[JobId], NeverNull("an array")]
    """Jobs that have ended, or have a later attempt; nothing was counted for them."""


# Jobs are locked before counters, both in one order for everybody: nobody waits in a ring. It needs no
# transaction around it: all of it is counted, or nothing.
@crossing(
    "the reservations of all organizations share one statement and one commit",
    f"""
    WITH wanted AS MATERIALIZED (
        SELECT organization_id, job_id, attempt, month, meter, amount::numeric
        FROM unnest(
            :organization_ids::text[], :job_ids::text[], :attempts::integer[], :months::text[],
            :meters::text[], :amounts::text[]
        ) AS wanted (organization_id, job_id, attempt, month, meter, amount)
    ), open AS MATERIALIZED (
        SELECT found.organization_id, found.id
        FROM (SELECT DISTINCT organization_id, job_id, attempt FROM wanted ORDER BY job_id) AS asking
        CROSS JOIN LATERAL (
            SELECT organization_id, id, attempt, state FROM job WHERE id = asking.job_id OFFSET 0 FOR SHARE
        ) AS found
        WHERE found.organization_id = asking.organization_id AND found.state IN ('queued', 'running')
            AND found.attempt = coalesce(asking.attempt, found.attempt)
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
    ), checked AS MATERIALIZED (
        SELECT refuse_exceeded(ARRAY(
            SELECT counted.organization_id FROM counted
            JOIN organization ON organization.id = counted.organization_id
            LEFT JOIN plan ON plan.id = organization.plan_id
            WHERE counted.used > {allowed_by_plan("counted.meter")}
        ))
    )
    SELECT ARRAY(SELECT job_id FROM wanted EXCEPT SELECT id FROM open) AS ended_jobs FROM checked
    """,
)
async def count_reservations(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    job_ids: Sequence[JobId],
    attempts: Sequence[int | None],
    months: Sequence[str],
    meters: Sequence[str],
    amounts: Sequence[str],
) -> CountedBatchRow:
    """Count reservations of open jobs, once for each job and meter, as one batch.

    A job whose attempt is another one counts as ended; null is any attempt. Raises asyncpg.PostgresError with
    EXCEEDED_SQLSTATE when a plan allows less; nothing is counted then.
    """


class GrantedRow(Row):
    """A meter of which a job has reserved units."""

    job_id: JobId
    meter: str


@crossing(
    "the reservations of all organizations share one commit",
    f"SELECT {columns(GrantedRow)} FROM usage_reservation WHERE job_id = ANY(:job_ids::text[])",
)
async def list_granted(connection: Connection, *, job_ids: Sequence[JobId]) -> list[GrantedRow]:
    """List what the jobs have reserved."""


class RemainingRow(Row):
    """Units of a meter that are left to an organization; fewer than 0 when the plan was lowered."""

    organization_id: Annotated[OrganizationId, NeverNull("the caller's")]
    meter: Annotated[str, NeverNull("the caller's")]
    remaining: Annotated[Decimal, NeverNull("both terms have defaults")]


@crossing(
    "the reservations of all organizations share one commit",
    f"""
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest(:organization_ids::text[], :months::text[], :meters::text[])
            AS wanted (organization_id, month, meter)
    ), locked AS MATERIALIZED (
        SELECT counter.organization_id, counter.meter, counter.used
        FROM usage_counter AS counter JOIN wanted USING (organization_id, month, meter)
        ORDER BY counter.organization_id, counter.month, counter.meter FOR UPDATE OF counter
    )
    SELECT wanted.organization_id, wanted.meter,
        {allowed_by_plan("wanted.meter")} - coalesce(locked.used, 0) AS remaining
    FROM wanted
    LEFT JOIN locked USING (organization_id, meter)
    JOIN organization ON organization.id = wanted.organization_id
    LEFT JOIN plan ON plan.id = organization.plan_id
    """,
)
async def lock_remaining(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    months: Sequence[str],
    meters: Sequence[str],
) -> list[RemainingRow]:
    """Lock counters and return what is left. A counter that does not exist yet cannot be locked."""


class ReservationRow(Row):
    """Units that a job has reserved."""

    organization_id: OrganizationId
    job_id: JobId
    month: str
    meter: str
    amount: Decimal


@tenant(f"""
    DELETE FROM usage_reservation WHERE organization_id = :organization_id AND job_id = :job_id
    RETURNING {columns(ReservationRow)}
""")
async def take_reservations(
    connection: Connection, *, organization_id: OrganizationId, job_id: JobId
) -> list[ReservationRow]:
    """Delete and return the reservations of a job."""


def settling(after: str = "settled") -> str:
    """Return CTEs that count what the jobs ``settled (organization_id, job_id)`` used instead of reserved.

    Units count in the month that they were reserved in; those of meters that a job is not said to have used
    stay counted. Counters are locked in one order, and not before the CTE ``after`` is complete.
    """
    return f"""
    taken AS (
        DELETE FROM usage_reservation AS reserved USING settled
        WHERE reserved.job_id = settled.job_id AND reserved.organization_id = settled.organization_id
        RETURNING reserved.job_id, reserved.month, reserved.meter, reserved.amount
    ), difference AS MATERIALIZED (
        SELECT settled.organization_id, coalesce(taken.month, used.month) AS month, used.meter,
            sum(used.amount - coalesce(taken.amount, 0)) AS amount
        FROM unnest(:used_job_ids::text[], :months::text[], :meters::text[], :amounts::numeric[])
            AS used (job_id, month, meter, amount)
        JOIN settled ON settled.job_id = used.job_id
        LEFT JOIN taken ON taken.job_id = used.job_id AND taken.meter = used.meter
        WHERE (SELECT count(*) FROM {after}) >= 0
        GROUP BY settled.organization_id, coalesce(taken.month, used.month), used.meter
    ), adjusted AS (
        INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
        SELECT organization_id, month, meter, greatest(amount, 0) FROM difference WHERE amount <> 0
        ORDER BY organization_id, month, meter
        ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = CASE
            WHEN excluded.used > 0 THEN counter.used + excluded.used
            ELSE greatest(0, counter.used + (
                SELECT amount FROM difference
                WHERE difference.organization_id = counter.organization_id
                    AND difference.month = counter.month AND difference.meter = counter.meter
            ))
        END
    )
    """


@crossing(
    "jobs of all organizations that ended at the same time share a commit",
    f"""
    WITH settled AS MATERIALIZED (
        SELECT * FROM unnest(:organization_ids::text[], :job_ids::text[]) AS one (organization_id, job_id)
    ), {settling()}
    SELECT 1
    """,
)
async def settle_reservations(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    job_ids: Sequence[JobId],
    used_job_ids: Sequence[JobId],
    months: Sequence[str],
    meters: Sequence[str],
    amounts: Sequence[Decimal],
) -> None:
    """Count what jobs have used in place of what they have reserved.

    ``used_job_ids``, ``months``, ``meters`` and ``amounts`` are the units used, a row for each job and meter.
    """


class UsedRow(Row):
    """Use of a meter by an organization."""

    organization_id: OrganizationId
    meter: str
    used: Decimal


@crossing(
    "a person sees all organizations that it belongs to",
    f"""
    SELECT {columns(UsedRow)} FROM usage_counter
    WHERE organization_id = ANY(:organization_ids::text[])
        AND month IN (:month, 'total') AND meter = ANY(:meters::text[])
    """,
)
async def list_used(
    connection: Connection, *, organization_ids: Sequence[OrganizationId], month: str, meters: Sequence[str]
) -> list[UsedRow]:
    """List the use of meters in a month and in total; meters that never counted are absent."""


class PlanLimitsRow(Row):
    """Limits of the plan of an organization; null without a plan."""

    organization_id: OrganizationId
    allowed: dict[str, Any] | None
    limited_by: LimitedBy | None


@crossing(
    "a person sees all organizations that it belongs to",
    """
    SELECT organization.id AS organization_id, plan.allowed, plan.limited_by
    FROM organization LEFT JOIN plan ON plan.id = organization.plan_id
    WHERE organization.id = ANY(:organization_ids::text[])
    """,
)
async def list_plan_limits(
    connection: Connection, *, organization_ids: Sequence[OrganizationId]
) -> list[PlanLimitsRow]:
    """List the limits of the organizations' plans."""
