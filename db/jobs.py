"""Jobs in their queue: queue them, cancel them, hold them, see whether they have ended.

All times are the database's. ``attempt`` is the fencing token: every write for a job names the attempt of its
worker, and the row decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from db.statements import Connection, Row, columns, crossing, tenant
from pagemill.ids import JobId, OrganizationId, SubjectId

JobState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]

NEW_JOB_ID = "replace(gen_random_uuid()::text, '-', '')"
"""An expression for the id of a new job."""


def queueing(
    kind: str,
    jobs: str,
    *,
    parts: str = "",
    conflict: str = "",
    result: str = "jobs",
    with_trace: bool = False,
) -> str:
    """Return SQL that queues the jobs of one kind that the query ``jobs`` selects, and tells dispatchers.

    ``jobs`` selects the organization, id, kind, subject, payload, priority and maximum attempts of each job,
    and its trace context with ``with_trace``. ``kind`` is an SQL expression. ``parts`` are CTEs that ``jobs``
    reads, each with a comma behind it. The statement returns the number of jobs unless ``result`` says
    otherwise.
    """
    return f"""
    WITH {parts} queued AS (
        INSERT INTO job (
            organization_id, id, kind, subject_id, payload, priority, maximum_attempts
            {", trace_context" if with_trace else ""}
        )
        {jobs}
        {conflict}
        RETURNING id
    ), told AS MATERIALIZED (
        SELECT jobs, CASE WHEN jobs > 0 THEN pg_notify('pagemill_job_ready', {kind}) END AS told
        FROM (SELECT count(*) AS jobs FROM queued) AS counted
    )
    SELECT {result} FROM told
    """


class EndedJobRow(Row):
    """The state of a job that has ended, and the error of one that failed."""

    state: JobState
    error_class: str | None
    error_message: str | None


class CancelRequestRow(Row):
    """A job that was open when its end was requested."""

    id: JobId
    state: JobState


@tenant(
    queueing(
        ":kind",
        """
        SELECT :organization_id::text, :job_id::text, :kind::text, :subject_id::text, :payload::jsonb,
            :priority::integer, :maximum_attempts::integer, :trace_context::text
        """,
        conflict="ON CONFLICT (id) DO NOTHING",
        with_trace=True,
    )
)
async def insert_job(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    job_id: JobId,
    kind: str,
    subject_id: SubjectId,
    payload: dict[str, Any],
    priority: int,
    maximum_attempts: int,
    trace_context: str | None,
) -> None:
    """Queue a job, unless there is one of this id, and tell dispatchers of it at commit."""


@tenant(f"""
    SELECT {columns(EndedJobRow)} FROM job
    WHERE organization_id = :organization_id AND id = :job_id
        AND state IN ('succeeded', 'failed', 'cancelled')
""")
async def get_ended_job(
    connection: Connection, *, organization_id: OrganizationId, job_id: JobId
) -> EndedJobRow | None:
    """Return how a job ended; None while it is open."""


@crossing(
    "an API process asks for the jobs that it waits for, after it may have missed notifications",
    """
    SELECT id FROM job WHERE id = ANY(:job_ids::text[]) AND state IN ('succeeded', 'failed', 'cancelled')
    """,
)
async def list_ended_among(connection: Connection, *, job_ids: Sequence[JobId]) -> list[JobId]:
    """Return the jobs that have ended."""


@tenant("""
    WITH asked AS (
        UPDATE job SET cancel_requested = true
        WHERE organization_id = :organization_id AND subject_id = :subject_id AND kind = :kind
            AND state IN ('queued', 'running')
        RETURNING id, state
    ), told AS MATERIALIZED (
        SELECT count(pg_notify('pagemill_job_cancel', id)) AS jobs FROM asked WHERE state = 'running'
    )
    SELECT asked.id, asked.state FROM asked CROSS JOIN told WHERE told.jobs >= 0
""")
async def request_cancel(
    connection: Connection, *, organization_id: OrganizationId, subject_id: SubjectId, kind: str
) -> list[CancelRequestRow]:
    """Request the end of the open jobs of a subject, and tell the workers of those that run."""


# Who ends a subject holds its row, and a worker that ends its job may wait for that row: a job that somebody
# else is writing is passed over instead of waited for.
@tenant("""
    WITH found AS MATERIALIZED (
        SELECT id, state FROM job
        WHERE organization_id = :organization_id AND subject_id = ANY(:subject_ids::text[])
            AND kind = ANY(:kinds::text[]) AND state IN ('queued', 'running')
        FOR UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE job SET state = 'cancelled', cancel_requested = true, ended_time = now()
        WHERE id = ANY(ARRAY(SELECT id FROM found WHERE state = 'queued'))
        RETURNING id
    ), asked AS (
        UPDATE job SET cancel_requested = true
        WHERE id = ANY(ARRAY(SELECT id FROM found WHERE state = 'running'))
        RETURNING id
    ), told AS MATERIALIZED (
        SELECT pg_notify('pagemill_job_ended', id) FROM ended
        UNION ALL
        SELECT pg_notify('pagemill_job_cancel', id) FROM asked
    )
    SELECT job.subject_id FROM job
    WHERE job.organization_id = :organization_id AND job.subject_id = ANY(:subject_ids::text[])
        AND job.kind = ANY(:kinds::text[]) AND job.state IN ('queued', 'running')
        AND NOT job.cancel_requested AND NOT EXISTS (SELECT FROM found WHERE found.id = job.id)
        AND (SELECT count(*) FROM told) >= 0
""")
async def cancel_jobs_of_subjects(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    subject_ids: Sequence[SubjectId],
    kinds: Sequence[str],
) -> list[SubjectId]:
    """Cancel the open jobs of subjects that have ended; return those whose job was passed over."""


# Here, as wherever many jobs are looked up, OFFSET 0 has each found by its id alone: planned while the table
# is small, they might be looked for among all jobs of the organization.
@crossing(
    "the reservations of all organizations share one commit",
    """
    SELECT found.id
    FROM (
        SELECT * FROM unnest(:organization_ids::text[], :job_ids::text[], :attempts::integer[])
            AS one (organization_id, id, attempt)
        ORDER BY id
    ) AS asking
    CROSS JOIN LATERAL (
        SELECT id, organization_id, attempt, state FROM job WHERE id = asking.id OFFSET 0 FOR SHARE
    ) AS found
    WHERE found.organization_id = asking.organization_id AND found.state IN ('queued', 'running')
        AND found.attempt = coalesce(asking.attempt, found.attempt)
    """,
)
async def lock_open_jobs_of_many(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    job_ids: Sequence[JobId],
    attempts: Sequence[int | None],
) -> list[JobId]:
    """Return which jobs of several organizations are open; they cannot end before the transaction does.

    Those that have another attempt are left out; null is any attempt.
    """


@tenant("""
    SELECT id FROM job
    WHERE organization_id = :organization_id AND id = :job_id AND attempt = :attempt
        AND state = 'running' AND NOT cancel_requested
    FOR SHARE
""")
async def hold_attempt(
    connection: Connection, *, organization_id: OrganizationId, job_id: JobId, attempt: int
) -> JobId | None:
    """Return the id of a job if this attempt may write for it.

    Until the transaction ends, the job is neither taken over nor cancelled.
    """


@crossing("touches no tenant data", "SELECT pg_notify('pagemill_job_ready', :kind)")
async def notify_ready(connection: Connection, *, kind: str) -> None:
    """Tell dispatchers that jobs of a kind can be claimed."""


@crossing("touches no tenant data", "SELECT 1")
async def check_connection(connection: Connection) -> None:
    """Do nothing, on a connection that may be dead."""
