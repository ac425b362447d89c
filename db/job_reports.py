"""Reports on jobs, for the operator and for the admission of new jobs."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated

from db.jobs import JobState
from db.statements import Connection, NeverNull, Row, columns, crossing
from db.workflow_timers import KIND as TIMER
from pagemill.ids import JobId, OrganizationId, SubjectId, TrainingId


class QueueDepthRow(Row):
    """Number of open jobs of a kind in a state."""

    kind: str
    state: JobState
    jobs: Annotated[int, NeverNull("count(*)")]


class OpenJobsRow(Row):
    """Number of jobs of a kind that may run or that run, and the seconds since the first was queued.

    Timers count from when they were due.
    """

    kind: Annotated[str, NeverNull("a column that is not null")]
    state: Annotated[JobState, NeverNull("a constant")]
    jobs: Annotated[int, NeverNull("count(*)")]
    oldest: Annotated[float, NeverNull("there is a row in each group")]


class WaitingJobsRow(Row):
    """Number of waiting jobs of an organization and a priority, and the seconds that one takes."""

    organization_id: Annotated[OrganizationId, NeverNull("filtered")]
    priority: int
    jobs: Annotated[int, NeverNull("count(*)")]
    seconds: float | None


class TrainingsWithoutNodeRow(Row):
    """Number of trainings that have begun and wait for a node, and for how many seconds the first of them."""

    trainings: Annotated[int, NeverNull("count(*)")]
    seconds: float | None


class UnusableModelRow(Row):
    """Class of an error of a training's weights, and the number of predictions that it has failed."""

    error_class: Annotated[str, NeverNull("filtered")]
    training_id: TrainingId
    jobs: Annotated[int, NeverNull("count(*)")]
    last: Annotated[datetime.datetime, NeverNull("filtered")]


class JobReportRow(Row):
    """All of a job but its payload."""

    id: JobId
    kind: str
    organization_id: OrganizationId
    subject_id: SubjectId
    state: JobState
    priority: int
    attempt: int
    maximum_attempts: int
    lost_workers: int
    run_after: datetime.datetime
    lease_owner: str | None
    lease_expires: datetime.datetime | None
    cancel_requested: bool
    error_class: str | None
    error_message: str | None
    retryable: bool | None
    created_time: datetime.datetime
    started_time: datetime.datetime | None
    ended_time: datetime.datetime | None


@crossing(
    "the operator sees how much work waits, not whose",
    f"""
    SELECT kind, state, count(*) AS jobs FROM job
    WHERE state IN ('queued', 'running') AND (kind <> '{TIMER}' OR run_after <= now())
    GROUP BY kind, state ORDER BY kind, state
    """,
)
async def list_queue_depths(connection: Connection) -> list[QueueDepthRow]:
    """Count the open jobs by kind and state, without timers that are not due."""


@crossing(
    "the operator sees how much work waits, not whose",
    " UNION ALL ".join(
        f"""
        SELECT kind, '{state}' AS state, count(*) AS jobs,
            extract(epoch FROM now() - min({since}))::float8 AS oldest
        FROM job WHERE state = '{state}' AND run_after <= now() AND {of_kind} GROUP BY kind
        """
        for state, of_kind, since in (
            ("running", "true", "created_time"),
            # Timers have an index of their own: most of them are not due for long.
            ("queued", f"(kind < '{TIMER}' OR kind > '{TIMER}')", "created_time"),
            ("queued", f"kind = '{TIMER}'", "run_after"),
        )
    ),
)
async def list_open_jobs(connection: Connection) -> list[OpenJobsRow]:
    """Count the jobs that are due or run, by kind and state."""


# Of a long queue ``per_organization`` jobs of each organization and ``in_all`` in all are counted. The
# duration is the mean of those among the last ``recent_jobs`` jobs that needed no second try.
@crossing(
    "how long a job will wait depends on everybody's jobs before it",
    """
    WITH RECURSIVE waiting (organization_id) AS (
        (SELECT organization_id FROM job WHERE state = 'queued' AND kind = :kind
         ORDER BY organization_id, priority, created_time, id LIMIT 1)
        UNION ALL
        SELECT (SELECT job.organization_id FROM job
                WHERE job.state = 'queued' AND job.kind = :kind
                  AND job.organization_id > waiting.organization_id
                ORDER BY job.organization_id, priority, created_time, id LIMIT 1)
        FROM waiting WHERE waiting.organization_id IS NOT NULL
    ), counted AS (
        SELECT waiting.organization_id, head.priority
        FROM waiting
        CROSS JOIN LATERAL (
            SELECT priority FROM job
            WHERE state = 'queued' AND kind = :kind AND organization_id = waiting.organization_id
            ORDER BY priority, created_time, id
            LIMIT :per_organization
        ) AS head
        WHERE waiting.organization_id IS NOT NULL
        LIMIT :in_all
    ), recent AS (
        SELECT kind, state, attempt, ended_time - started_time AS worked FROM job
        WHERE ended_time IS NOT NULL ORDER BY ended_time DESC LIMIT :recent_jobs
    )
    SELECT organization_id, priority, count(*) AS jobs, (
        SELECT extract(epoch FROM avg(worked))::float8 FROM recent
        WHERE kind = :kind AND state = 'succeeded' AND attempt = 1
    ) AS seconds
    FROM counted GROUP BY organization_id, priority
    """,
)
async def list_waiting_jobs(
    connection: Connection, *, kind: str, per_organization: int, in_all: int, recent_jobs: int
) -> list[WaitingJobsRow]:
    """Count the waiting jobs of a kind by organization and priority."""


@crossing(
    "the operator sees how many trainings wait for nodes, not whose",
    """
    SELECT count(*) AS trainings, extract(epoch FROM now() - min(job.started_time))::float8 AS seconds
    FROM job JOIN training
        ON training.organization_id = job.organization_id AND training.id = job.subject_id
    WHERE job.state = 'running' AND job.kind = 'training' AND training.status = 'pending'
    """,
)
async def count_trainings_without_node(connection: Connection) -> TrainingsWithoutNodeRow:
    """Count the trainings whose workers have no node yet."""


@crossing(
    "the operator sees whose weights cannot be used, in whichever organization",
    """
    SELECT job.error_class, prediction.training_id, count(*) AS jobs, max(job.ended_time) AS last
    FROM job JOIN prediction
        ON prediction.organization_id = job.organization_id AND prediction.id = job.subject_id
    WHERE job.state = 'failed' AND job.ended_time > now() - :seconds * interval '1 second'
        AND job.error_class = ANY(:error_classes)
    GROUP BY job.error_class, prediction.training_id
    ORDER BY last DESC LIMIT :limit
    """,
)
async def list_unusable_models(
    connection: Connection, *, error_classes: Sequence[str], seconds: float, limit: int
) -> list[UnusableModelRow]:
    """List trainings whose weights have failed predictions of the last ``seconds``, the newest first."""


@crossing(
    "the operator looks at the jobs of all organizations",
    f"""
    SELECT {columns(JobReportRow)} FROM job
    WHERE (:states::text[] IS NULL OR state = ANY(:states))
        AND (:kind::text IS NULL OR kind = :kind)
        AND (:organization_id::text IS NULL OR organization_id = :organization_id)
    ORDER BY created_time DESC, id LIMIT :limit
    """,
)
async def list_jobs(
    connection: Connection,
    *,
    states: Sequence[JobState] | None,
    kind: str | None,
    organization_id: OrganizationId | None,
    limit: int,
) -> list[JobReportRow]:
    """Return jobs, the newest first."""


@crossing(
    "the operator names a job, or what it works for; the newest is meant",
    f"""
    SELECT {columns(JobReportRow)} FROM job WHERE id = :name OR subject_id = :name
    ORDER BY created_time DESC LIMIT 1
    """,
)
async def find_job(connection: Connection, *, name: str) -> JobReportRow | None:
    """Return the job of an id, or the newest job of a subject."""
