"""Timers of workflows: each is a job that becomes due, for a step or for an execution that waits.

The timer of a step names the step as its subject, that of an execution the execution, with the machine's key
in its payload. A timer that is not needed any more is deleted while it is queued. One that fires nevertheless
finds nothing to do: what is due is decided by the rows of its subject.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from db.job_leases import ClaimedJobRow, claiming
from db.jobs import NEW_JOB_ID
from db.statements import Connection, RowCount, crossing, tenant
from db.transition_executions import CLAIM_LAPSED
from pagemill.ids import OrganizationId, SubjectId, TransitionExecutionId, WorkflowExecutionId

KIND = "workflow-timer"
PRIORITY = 0
MAXIMUM_ATTEMPTS = 20
"""Over several minutes: without its timer an execution would stand still."""
SOON = "interval '30 seconds'"
"""Dispatchers are told at once of timers that are due before they look by themselves."""
BEGIN = "begin"
"""Member of the payload of a timer that begins a step; its value is the type of the transition."""
QUEUED = f"state = 'queued' AND kind = '{KIND}'"


def starting(subject: str, payload: str, due: str, rest: str = "") -> str:
    """Return SQL that starts a timer; all parts are SQL expressions, ``rest`` is a FROM clause."""
    return f"""
    WITH timer AS (
        INSERT INTO job (
            organization_id, id, kind, subject_id, payload, priority, maximum_attempts, run_after
        )
        SELECT :organization_id::text, {NEW_JOB_ID}, '{KIND}', {subject}, {payload}, {PRIORITY},
            {MAXIMUM_ATTEMPTS}, {due}
        {rest}
        RETURNING run_after
    )
    SELECT pg_notify('pagemill_job_ready', '{KIND}') FROM timer WHERE run_after < now() + {SOON}
    """


@tenant(
    starting(
        ":subject_id::text",
        ":payload::jsonb",
        "coalesce(:until::timestamptz, now() + make_interval(secs => :seconds::float8))",
    )
)
async def start_timer(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    subject_id: SubjectId,
    payload: Mapping[str, Any],
    seconds: float | None,
    until: datetime.datetime | None,
) -> None:
    """Start a timer of a step or an execution: ``seconds`` from now, or ``until`` a time."""


NEXT_OF_STEP = f"""least(
    CASE WHEN expires > now() OR NOT {CLAIM_LAPSED} THEN expires END,
    heartbeat_time + make_interval(secs => heartbeat_seconds)
)"""
"""The time at which a step that runs times out or has missed its next heartbeat; null if never.

One whose claim had lapsed before it would have timed out waits again, without that limit.
"""


@tenant(
    starting(
        "id",
        "'{}'::jsonb",
        NEXT_OF_STEP,
        f"""
        FROM transition_execution
        WHERE organization_id = :organization_id AND id = :execution_id AND status = 'running'
            AND {NEXT_OF_STEP} IS NOT NULL
        """,
    )
)
async def start_timer_of_step(
    connection: Connection, *, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> None:
    """Start the timer of a running step, for when it times out or its next heartbeat is missed, if ever."""


# A timer that is claimed just now is not waited for: when it fires there is nothing to do.
def deleting(condition: str) -> str:
    """Return SQL that deletes the queued timers for which a condition holds."""
    return f"""
    DELETE FROM job WHERE organization_id = :organization_id AND id = ANY(ARRAY(
        SELECT id FROM job WHERE organization_id = :organization_id AND {QUEUED} AND {condition}
        FOR UPDATE SKIP LOCKED
    ))
    """


@tenant(deleting("subject_id = :execution_id"))
async def delete_timers_of_step(
    connection: Connection, *, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> RowCount:
    """Delete the timers of a step that has ended."""


@tenant(deleting("subject_id = ANY(:execution_ids::text[])"))
async def delete_timers_of_steps(
    connection: Connection, *, organization_id: OrganizationId, execution_ids: Sequence[TransitionExecutionId]
) -> RowCount:
    """Delete the timers of several steps."""


@tenant(deleting("subject_id = :execution_id AND (:key::text IS NULL OR payload ->> 'key' = :key)"))
async def delete_timers_of_execution(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    execution_id: WorkflowExecutionId,
    key: str | None,
) -> RowCount:
    """Delete the timers of a workflow's execution, or the one of a key."""


@crossing(
    "the dispatcher works for all organizations; fairness is decided between them",
    claiming(f"'{KIND}'", order=("run_after", "id")),
)
async def claim_timers(
    connection: Connection, *, owner: str, lease: float, limit: int
) -> list[ClaimedJobRow]:
    """Lease timers that are due for ``lease`` seconds, without a look at the others."""


@crossing(
    "the dispatcher works for all organizations",
    f"""
    WITH RECURSIVE waiting (organization_id) AS (
        (SELECT organization_id FROM job WHERE {QUEUED} ORDER BY organization_id, run_after, id LIMIT 1)
        UNION ALL
        SELECT (SELECT job.organization_id FROM job
                WHERE {QUEUED} AND job.organization_id > waiting.organization_id
                ORDER BY job.organization_id, run_after, id LIMIT 1)
        FROM waiting WHERE waiting.organization_id IS NOT NULL
    )
    SELECT extract(epoch FROM min(first.run_after) - now())::float8
    FROM waiting
    CROSS JOIN LATERAL (
        SELECT run_after FROM job
        WHERE {QUEUED} AND organization_id = waiting.organization_id
        ORDER BY run_after LIMIT 1
    ) AS first
    """,
)
async def seconds_to_next_timer(connection: Connection) -> float | None:
    """Return the seconds until the next timer is due; None without one.

    They are not positive for one that became due since due ones were claimed.
    """
