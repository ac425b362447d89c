"""Statements for durable jobs: queue, claim, lease, retry, end.

All times are the database's. ``attempt`` is the fencing token: whoever writes for a job names the attempt
that it was given, and the row decides.
"""

from __future__ import annotations

from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

NEW_ID = "replace(gen_random_uuid()::text, '-', '')"
"""An expression for the id of a new job."""


def queueing(kind: str, jobs: str, *, parts: str = "", conflict: str = "", result: str = "jobs") -> str:
    """Return SQL that queues the jobs of one kind that the query ``jobs`` selects, and tells dispatchers.

    ``jobs`` selects the organization, id, kind, subject, payload, priority and maximum attempts of each job.
    ``kind`` is an SQL expression. ``parts`` are CTEs that ``jobs`` reads, each with a comma behind it. The
    statement returns the number of jobs unless ``result`` says otherwise.
    """
    return f"""
    WITH {parts} queued AS (
        INSERT INTO job (organization_id, id, kind, subject_id, payload, priority, maximum_attempts)
        {jobs}
        {conflict}
        RETURNING id
    ), told AS MATERIALIZED (
        SELECT jobs, CASE WHEN jobs > 0 THEN pg_notify('pagemill_job_ready', {kind}) END AS told
        FROM (SELECT count(*) AS jobs FROM queued) AS counted
    )
    SELECT {result} FROM told
    """


INSERT = tenant(
    "job.insert",
    queueing("$3", "SELECT $1::text, $2::text, $3::text, $4::text, $5::jsonb, $6::integer, $7::integer"),
)

ENDED = tenant(
    "job.ended",
    """
    SELECT state, error_class, error_message FROM job
    WHERE organization_id = $1 AND id = $2 AND state IN ('succeeded', 'failed', 'cancelled')
    """,
)

REQUEST_CANCEL = tenant(
    "job.request_cancel",
    """
    WITH asked AS (
        UPDATE job SET cancel_requested = true
        WHERE organization_id = $1 AND subject_id = $2 AND kind = $3 AND state IN ('queued', 'running')
        RETURNING id, state
    )
    SELECT id, state,
           CASE WHEN state = 'running' THEN pg_notify('pagemill_job_cancel', id) END AS told
    FROM asked
    """,
)

END = tenant(
    "job.end",
    """
    WITH ended AS (
        UPDATE job SET
            state = CASE WHEN cancel_requested THEN 'cancelled' ELSE $4 END,
            error_class = $5, error_message = $6, retryable = $7,
            ended_time = now(), lease_owner = NULL, lease_expires = NULL
        WHERE organization_id = $1 AND id = $2 AND attempt = $3 AND state = 'running'
        RETURNING id, state
    )
    SELECT state, pg_notify('pagemill_job_ended', id) AS told FROM ended
    """,
)

# Locked in one order, as by whoever else locks several jobs. The listeners hear of some jobs at once: a
# payload is at most 8,000 bytes.
# Here, as wherever many jobs are looked up, OFFSET 0 has each found by its id alone: planned while the table
# is small, they might be looked for among all jobs of the organization.
END_TOGETHER = crossing(
    "job.end_together",
    "jobs of all organizations that succeeded at the same time share a commit; the attempts fence it",
    """
    WITH held AS MATERIALIZED (
        SELECT found.id
        FROM (
            SELECT * FROM unnest($1::text[], $2::text[], $3::integer[]) AS one (organization_id, id, attempt)
            ORDER BY id
        ) AS mine
        CROSS JOIN LATERAL (
            SELECT id, organization_id, attempt, state FROM job WHERE id = mine.id OFFSET 0 FOR NO KEY UPDATE
        ) AS found
        WHERE found.organization_id = mine.organization_id AND found.attempt = mine.attempt
          AND found.state = 'running'
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
    SELECT id, state, (SELECT count(done) FROM told) AS told FROM ended
    """,
)

CANCEL_QUEUED = tenant(
    "job.cancel_queued",
    """
    WITH ended AS (
        UPDATE job SET state = 'cancelled', ended_time = now()
        WHERE organization_id = $1 AND id = $2 AND state = 'queued'
        RETURNING id, state
    )
    SELECT state, pg_notify('pagemill_job_ended', id) AS told FROM ended
    """,
)

RETRY = tenant(
    "job.retry",
    """
    UPDATE job SET
        state = 'queued', run_after = now() + $4 * interval '1 second',
        maximum_attempts = maximum_attempts + $5, lost_workers = lost_workers + $8,
        error_class = $6, error_message = $7, retryable = true,
        lease_owner = NULL, lease_expires = NULL
    WHERE organization_id = $1 AND id = $2 AND attempt = $3 AND state = 'running' AND NOT cancel_requested
    RETURNING id
    """,
)

# The attempt goes on counting: it fences what the attempts before still write.
REQUEUE_FAILED = tenant(
    "job.requeue_failed",
    """
    UPDATE job SET
        state = 'queued', run_after = now(), maximum_attempts = attempt + $3, ended_time = NULL,
        lost_workers = 0, error_class = NULL, error_message = NULL, retryable = NULL
    WHERE organization_id = $1 AND id = $2 AND state = 'failed'
    RETURNING kind, pg_notify('pagemill_job_ready', kind) AS told
    """,
)

LOCK_OPEN_AMONG = crossing(
    "job.lock_open_among",
    "the reservations of all organizations share one commit",
    """
    SELECT found.id
    FROM (
        SELECT * FROM unnest($1::text[], $2::text[]) AS one (organization_id, id) ORDER BY id
    ) AS asking
    CROSS JOIN LATERAL (
        SELECT id, organization_id, state FROM job WHERE id = asking.id OFFSET 0 FOR SHARE
    ) AS found
    WHERE found.organization_id = asking.organization_id AND found.state IN ('queued', 'running')
    """,
)

# A worker that writes while it works holds its job: it is neither taken over nor cancelled in between.
HOLD = tenant(
    "job.hold",
    """
    SELECT id FROM job
    WHERE organization_id = $1 AND id = $2 AND attempt = $3 AND state = 'running' AND NOT cancel_requested
    FOR SHARE
    """,
)

_QUEUE_OF_SHARE = """
            SELECT id, priority, created_time,
                   row_number() OVER (ORDER BY priority, created_time, id) AS place
            FROM job
            WHERE state = 'queued' AND kind = $1 AND organization_id = share.organization_id
              AND run_after <= now()
            ORDER BY priority, created_time, id
""".strip()

# The best 2 * $4 jobs are looked for: others may be taking some of them. Where all organizations have plenty,
# none of them lies beyond ``most`` of its organization; where some have little, the others' next ones follow.
CLAIM = crossing(
    "job.claim",
    "the dispatcher works for all organizations; fairness is decided between them",
    f"""
    WITH RECURSIVE waiting (organization_id) AS (
        (SELECT organization_id FROM job WHERE state = 'queued' AND kind = $1
         ORDER BY organization_id LIMIT 1)
        UNION ALL
        SELECT (SELECT job.organization_id FROM job
                WHERE job.state = 'queued' AND job.kind = $1
                  AND job.organization_id > waiting.organization_id
                ORDER BY job.organization_id LIMIT 1)
        FROM waiting WHERE waiting.organization_id IS NOT NULL
    ), busy AS MATERIALIZED (
        SELECT organization_id, count(*) AS running FROM job
        WHERE state = 'running' AND kind = $1
        GROUP BY organization_id
    ), share AS MATERIALIZED (
        SELECT organization_id, running, least(
            2 * $4::integer,
            (2 * $4::integer + count(*) OVER () - 1) / count(*) OVER () + max(running) OVER () - running
        ) AS most
        FROM (
            SELECT waiting.organization_id, coalesce(busy.running, 0) AS running
            FROM waiting LEFT JOIN busy ON busy.organization_id = waiting.organization_id
            WHERE waiting.organization_id IS NOT NULL
        ) AS started
    ), first AS MATERIALIZED (
        SELECT head.id, head.priority, head.created_time, share.running + head.place AS turn
        FROM share
        CROSS JOIN LATERAL (
            {_QUEUE_OF_SHARE}
            LIMIT share.most
        ) AS head
    ), candidate AS (
        SELECT * FROM first
        UNION ALL
        SELECT further.id, further.priority, further.created_time, share.running + further.place
        FROM share
        CROSS JOIN LATERAL (
            {_QUEUE_OF_SHARE}
            LIMIT 2 * $4::integer - share.most OFFSET share.most
        ) AS further
        WHERE (SELECT count(*) FROM first) < 2 * $4::integer
    ), chosen AS MATERIALIZED (
        SELECT free.id
        FROM (
            SELECT id FROM candidate ORDER BY turn, priority, created_time, id LIMIT 2 * $4::integer
        ) AS best
        CROSS JOIN LATERAL (
            SELECT id FROM job WHERE id = best.id AND state = 'queued' FOR UPDATE SKIP LOCKED
        ) AS free
        LIMIT $4::integer
    )
    UPDATE job SET
        state = 'running', attempt = attempt + 1,
        lease_owner = $2, lease_expires = now() + $3 * interval '1 second',
        started_time = coalesce(started_time, now())
    WHERE id = ANY(ARRAY(SELECT id FROM chosen))
    RETURNING id, kind, organization_id, subject_id, payload, attempt, maximum_attempts, lost_workers
    """,
)

# How many wait, by organization and priority; of a long queue $2 of each organization and $3 in all are
# counted. How long one of them works is the mean of those among the last $4 jobs that needed no second try.
QUEUE_STATE = crossing(
    "job.queue_state",
    "how long a job will wait depends on everybody's jobs before it",
    """
    WITH RECURSIVE waiting (organization_id) AS (
        (SELECT organization_id FROM job WHERE state = 'queued' AND kind = $1
         ORDER BY organization_id LIMIT 1)
        UNION ALL
        SELECT (SELECT job.organization_id FROM job
                WHERE job.state = 'queued' AND job.kind = $1
                  AND job.organization_id > waiting.organization_id
                ORDER BY job.organization_id LIMIT 1)
        FROM waiting WHERE waiting.organization_id IS NOT NULL
    ), counted AS (
        SELECT waiting.organization_id, head.priority
        FROM waiting
        CROSS JOIN LATERAL (
            SELECT priority FROM job
            WHERE state = 'queued' AND kind = $1 AND organization_id = waiting.organization_id
            ORDER BY priority, created_time, id
            LIMIT $2
        ) AS head
        WHERE waiting.organization_id IS NOT NULL
        LIMIT $3
    ), recent AS (
        SELECT kind, state, attempt, ended_time - started_time AS worked FROM job
        WHERE ended_time IS NOT NULL ORDER BY ended_time DESC LIMIT $4
    )
    SELECT organization_id, priority, count(*) AS jobs, (
        SELECT extract(epoch FROM avg(worked))::float8 FROM recent
        WHERE kind = $1 AND state = 'succeeded' AND attempt = 1
    ) AS seconds
    FROM counted GROUP BY organization_id, priority
    """,
)

RENEW = crossing(
    "job.renew",
    "one statement renews every lease that a dispatcher holds; the attempts fence it",
    """
    WITH held AS (
        SELECT job.id FROM job
        JOIN unnest($1::text[], $2::integer[]) AS mine (id, attempt)
          ON mine.id = job.id AND mine.attempt = job.attempt
        WHERE job.state = 'running'
        ORDER BY job.id FOR UPDATE OF job
    )
    UPDATE job SET lease_expires = now() + $3 * interval '1 second'
    FROM held WHERE job.id = held.id
    RETURNING job.id, job.cancel_requested
    """,
)

EXPIRED = crossing(
    "job.expired",
    "the reaper takes over from dead workers of all organizations",
    """
    SELECT id, kind, organization_id, subject_id, payload, attempt, maximum_attempts, lost_workers,
           cancel_requested
    FROM job
    WHERE state = 'running' AND lease_expires < now() AND kind = ANY($2::text[])
    ORDER BY lease_expires
    LIMIT $1
    FOR UPDATE SKIP LOCKED
    """,
)

ENDED_AMONG = crossing(
    "job.ended_among",
    "an API process asks for the jobs that it waits for, after it may have missed notifications",
    """
    SELECT id FROM job WHERE id = ANY($1::text[]) AND state IN ('succeeded', 'failed', 'cancelled')
    """,
)

PURGE = crossing(
    "job.purge",
    "housekeeping over all organizations; an ended job has given its outcome to its subject",
    """
    WITH old AS (
        SELECT id FROM job
        WHERE ended_time < now() - $1 * interval '1 second'
        ORDER BY ended_time
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM job USING old WHERE job.id = old.id
    """,
)

NOTIFY_READY = crossing(
    "job.notify_ready",
    "touches no tenant data",
    "SELECT pg_notify('pagemill_job_ready', $1)",
)

STILL_THERE = crossing(
    "job.still_there",
    "touches no tenant data; finds out whether the listening connection is alive",
    "SELECT 1",
)
