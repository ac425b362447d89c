"""Ends of jobs: each write names the attempt that it is for, and the first terminal write wins."""

from __future__ import annotations

from collections.abc import Sequence

from db.jobs import JobState
from db.statements import Connection, Row, crossing, tenant
from pagemill.ids import JobId, OrganizationId


class EndedRow(Row):
    """A job that this statement has ended, and its final state."""

    id: JobId
    state: JobState


@tenant("""
    WITH ended AS (
        UPDATE job SET
            state = CASE WHEN cancel_requested THEN 'cancelled' ELSE :state END,
            error_class = :error_class, error_message = :error_message, retryable = :retryable,
            ended_time = now(), lease_owner = NULL, lease_expires = NULL
        WHERE organization_id = :organization_id AND id = :job_id AND attempt = :attempt
            AND state = 'running'
        RETURNING id, state
    )
    SELECT state FROM ended CROSS JOIN LATERAL pg_notify('pagemill_job_ended', id)
""")
async def end_job(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    job_id: JobId,
    attempt: int,
    state: JobState,
    error_class: str | None,
    error_message: str | None,
    retryable: bool | None,
) -> JobState | None:
    """End a running job and return its final state; None when the attempt is not current."""


def ending(condition: str = "true") -> str:
    """Return CTEs that end running jobs which have succeeded; ``ended`` has their ids and final states.

    Jobs are left out when their attempt is not current, or when ``condition`` does not hold for the row
    ``found``, which is locked. A query has to read ``told``, so that the listeners hear of them.
    """
    # Locked in the order of their ids, like by every statement that locks several jobs. The listeners hear of
    # some jobs at once: a payload is at most 8,000 bytes. OFFSET 0: see db/jobs.py.
    return f"""
    held AS MATERIALIZED (
        SELECT found.id
        FROM (
            SELECT * FROM unnest(:organization_ids::text[], :job_ids::text[], :attempts::integer[])
                AS one (organization_id, id, attempt)
            ORDER BY id
        ) AS mine
        CROSS JOIN LATERAL (
            SELECT id, organization_id, attempt, state, cancel_requested FROM job WHERE id = mine.id
            OFFSET 0 FOR NO KEY UPDATE
        ) AS found
        WHERE found.organization_id = mine.organization_id AND found.attempt = mine.attempt
            AND found.state = 'running' AND {condition}
    ), ended AS (
        UPDATE job SET
            state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'succeeded' END,
            error_class = NULL, error_message = NULL, retryable = NULL,
            ended_time = now(), lease_owner = NULL, lease_expires = NULL
        WHERE id = ANY(ARRAY(SELECT id FROM held)) AND state = 'running'
        RETURNING id, state
    ), told AS MATERIALIZED (
        SELECT pg_notify('pagemill_job_ended', string_agg(id, ' ')) AS done
        FROM (SELECT id, row_number() OVER () / 40 AS part FROM ended) AS numbered
        GROUP BY part
    )
    """


@crossing(
    "jobs of all organizations that succeeded at the same time share a commit; the attempts fence it",
    f"""
    WITH {ending()}
    SELECT id, state FROM ended WHERE (SELECT count(done) FROM told) > 0
    """,
)
async def end_succeeded_jobs(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    job_ids: Sequence[JobId],
    attempts: Sequence[int],
) -> list[EndedRow]:
    """End running jobs that have succeeded; those whose attempt is not current are left out."""


@tenant("""
    WITH ended AS (
        UPDATE job SET state = 'cancelled', ended_time = now()
        WHERE organization_id = :organization_id AND id = :job_id AND state = 'queued'
        RETURNING id
    )
    SELECT id FROM ended CROSS JOIN LATERAL pg_notify('pagemill_job_ended', id)
""")
async def cancel_queued_job(
    connection: Connection, *, organization_id: OrganizationId, job_id: JobId
) -> JobId | None:
    """Cancel a job and return its id; None when it is not queued."""


@tenant("""
    UPDATE job SET
        state = 'queued', run_after = now() + :delay * interval '1 second',
        maximum_attempts = maximum_attempts + :more_attempts, lost_workers = lost_workers + :lost_workers,
        error_class = :error_class, error_message = :error_message, retryable = true,
        lease_owner = NULL, lease_expires = NULL
    WHERE organization_id = :organization_id AND id = :job_id AND attempt = :attempt
        AND state = 'running' AND NOT cancel_requested
    RETURNING id
""")
async def retry_job(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    job_id: JobId,
    attempt: int,
    delay: float,
    more_attempts: int,
    error_class: str,
    error_message: str,
    lost_workers: int,
) -> JobId | None:
    """Queue a running job again after ``delay`` seconds; None when the attempt is not current."""


# The attempt goes on counting: it fences writes of the attempts before.
@tenant("""
    WITH requeued AS (
        UPDATE job SET
            state = 'queued', run_after = now(), maximum_attempts = attempt + :more_attempts,
            ended_time = NULL, lost_workers = 0, error_class = NULL, error_message = NULL, retryable = NULL
        WHERE organization_id = :organization_id AND id = :job_id AND state = 'failed'
        RETURNING id, kind
    )
    SELECT id FROM requeued CROSS JOIN LATERAL pg_notify('pagemill_job_ready', kind)
""")
async def requeue_failed_job(
    connection: Connection, *, organization_id: OrganizationId, job_id: JobId, more_attempts: int
) -> JobId | None:
    """Queue a failed job again and return its id; None when it has not failed."""
