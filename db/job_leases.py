"""Leases of jobs: claim jobs, keep them, find those whose worker is dead, delete old ones."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Any

from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing
from pagemill.ids import JobId, OrganizationId, SubjectId


class JobRow(Row):
    """A job as its worker is given it."""

    id: JobId
    kind: str
    organization_id: OrganizationId
    subject_id: SubjectId
    payload: dict[str, Any]
    attempt: int
    maximum_attempts: int
    lost_workers: int
    trace_context: str | None


class ClaimedJobRow(JobRow):
    """A job that was claimed at ``claimed_time``, and could have been since ``run_after``."""

    run_after: datetime.datetime
    claimed_time: Annotated[datetime.datetime, NeverNull("now()")]


class ExpiredJobRow(JobRow):
    """A job whose lease has expired, and whether its end was requested."""

    cancel_requested: bool


class LeaseRow(Row):
    """A job whose lease was renewed, and whether its end was requested."""

    id: JobId
    cancel_requested: bool


def claiming(kind: str, *, order: tuple[str, ...]) -> str:
    """Return SQL that leases due jobs of one kind; organizations take turns.

    ``kind`` is an SQL expression, ``order`` names the columns by which an organization's jobs are sorted,
    the last of them ``id``. An index of the queued jobs, on the organization and these columns, has to serve
    it.
    """
    ordered = ", ".join(order)
    queue_of_share = f"""
            SELECT {ordered}, row_number() OVER (ORDER BY {ordered}) AS place
            FROM job
            WHERE state = 'queued' AND kind = {kind} AND organization_id = share.organization_id
              AND run_after <= now()
            ORDER BY {ordered}
    """.strip()
    # The first of each organization is looked for in the order of that index: sorted by organization alone,
    # Postgres may look through all jobs for it where most of those that are queued are of another kind.
    # The best 2 * limit jobs are looked for: others may be taking some of them. Where all organizations have
    # plenty, none of them lies beyond ``most`` of its organization; where some have little, the others' next
    # ones follow.
    return f"""
    WITH RECURSIVE waiting (organization_id) AS (
        (SELECT organization_id FROM job WHERE state = 'queued' AND kind = {kind}
         ORDER BY organization_id, {ordered} LIMIT 1)
        UNION ALL
        SELECT (SELECT job.organization_id FROM job
                WHERE job.state = 'queued' AND job.kind = {kind}
                  AND job.organization_id > waiting.organization_id
                ORDER BY job.organization_id, {ordered} LIMIT 1)
        FROM waiting WHERE waiting.organization_id IS NOT NULL
    ), busy AS MATERIALIZED (
        SELECT organization_id, count(*) AS running FROM job
        WHERE state = 'running' AND kind = {kind}
        GROUP BY organization_id
    ), share AS MATERIALIZED (
        SELECT organization_id, running, least(
            2 * :limit::integer,
            (2 * :limit::integer + count(*) OVER () - 1) / count(*) OVER () + max(running) OVER () - running
        ) AS most
        FROM (
            SELECT waiting.organization_id, coalesce(busy.running, 0) AS running
            FROM waiting LEFT JOIN busy ON busy.organization_id = waiting.organization_id
            WHERE waiting.organization_id IS NOT NULL
        ) AS started
    ), first AS MATERIALIZED (
        SELECT {", ".join(f"head.{column}" for column in order)}, share.running + head.place AS turn
        FROM share
        CROSS JOIN LATERAL (
            {queue_of_share}
            LIMIT share.most
        ) AS head
    ), candidate AS (
        SELECT * FROM first
        UNION ALL
        SELECT {", ".join(f"further.{column}" for column in order)}, share.running + further.place
        FROM share
        CROSS JOIN LATERAL (
            {queue_of_share}
            LIMIT 2 * :limit::integer - share.most OFFSET share.most
        ) AS further
        WHERE (SELECT count(*) FROM first) < 2 * :limit::integer
    ), chosen AS MATERIALIZED (
        SELECT free.id
        FROM (
            SELECT id FROM candidate ORDER BY turn, {ordered} LIMIT 2 * :limit::integer
        ) AS best
        CROSS JOIN LATERAL (
            SELECT id FROM job WHERE id = best.id AND state = 'queued' FOR UPDATE SKIP LOCKED
        ) AS free
        LIMIT :limit::integer
    )
    UPDATE job SET
        state = 'running', attempt = attempt + 1,
        lease_owner = :owner, lease_expires = now() + :lease * interval '1 second',
        started_time = coalesce(started_time, now())
    WHERE id = ANY(ARRAY(SELECT id FROM chosen))
    RETURNING {columns(ClaimedJobRow, claimed_time="now()")}
    """


@crossing(
    "the dispatcher works for all organizations; fairness is decided between them",
    claiming(":kind", order=("priority", "created_time", "id")),
)
async def claim_jobs(
    connection: Connection, *, kind: str, owner: str, lease: float, limit: int
) -> list[ClaimedJobRow]:
    """Lease queued jobs of a kind for ``lease`` seconds; organizations take turns."""


@crossing(
    "one statement renews every lease that a dispatcher holds; the attempts fence it",
    """
    WITH held AS (
        SELECT job.id FROM job
        JOIN unnest(:job_ids::text[], :attempts::integer[]) AS mine (id, attempt)
          ON mine.id = job.id AND mine.attempt = job.attempt
        WHERE job.state = 'running'
        ORDER BY job.id FOR UPDATE OF job
    )
    UPDATE job SET lease_expires = now() + :lease * interval '1 second'
    FROM held WHERE job.id = held.id
    RETURNING job.id, job.cancel_requested
    """,
)
async def renew_leases(
    connection: Connection, *, job_ids: Sequence[JobId], attempts: Sequence[int], lease: float
) -> list[LeaseRow]:
    """Renew leases by ``lease`` seconds; jobs whose attempt is not current are left out."""


@crossing(
    "the reaper takes over from dead workers of all organizations",
    f"""
    SELECT {columns(ExpiredJobRow)}
    FROM job
    WHERE state = 'running' AND lease_expires < now() AND kind = ANY(:kinds::text[])
    ORDER BY lease_expires
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
    """,
)
async def lock_expired_jobs(
    connection: Connection, *, limit: int, kinds: Sequence[str]
) -> list[ExpiredJobRow]:
    """Return running jobs whose lease has expired, and lock them until the transaction ends."""


@crossing(
    "housekeeping over all organizations; an ended job has given its outcome to its subject",
    """
    WITH old AS (
        SELECT id FROM job
        WHERE ended_time < now() - :retention * interval '1 second'
        ORDER BY ended_time
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM job USING old WHERE job.id = old.id
    """,
)
async def delete_old_jobs(connection: Connection, *, retention: float, limit: int) -> RowCount:
    """Delete jobs that ended more than ``retention`` seconds ago, the oldest first."""
