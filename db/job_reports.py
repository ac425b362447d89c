"""What the operator asks about the whole database."""

from __future__ import annotations

from db.statements import untyped_crossing as crossing

QUEUE_DEPTH = crossing(
    "operation.queue_depth",
    "the operator sees how much work waits, not whose",
    """
    SELECT kind, state, count(*) AS jobs FROM job
    WHERE state IN ('queued', 'running')
    GROUP BY kind, state ORDER BY kind, state
    """,
)

JOB_COLUMNS = """
    id, kind, organization_id, subject_id, state, priority, attempt, maximum_attempts, lost_workers,
    run_after, lease_owner, lease_expires, cancel_requested, error_class, error_message, retryable,
    created_time, started_time, ended_time
"""

LIST_JOBS = crossing(
    "operation.list_jobs",
    "the operator looks at the jobs of all organizations",
    f"""
    SELECT {JOB_COLUMNS} FROM job
    WHERE ($1::text[] IS NULL OR state = ANY($1))
        AND ($2::text IS NULL OR kind = $2)
        AND ($3::text IS NULL OR organization_id = $3)
    ORDER BY created_time DESC, id LIMIT $4
    """,
)

FIND_JOB = crossing(
    "operation.find_job",
    "the operator names a job, or what it works for; the newest is meant",
    f"""
    SELECT {JOB_COLUMNS} FROM job WHERE id = $1 OR subject_id = $1
    ORDER BY created_time DESC LIMIT 1
    """,
)
