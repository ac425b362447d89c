"""Progress of executions: what a transaction has read of them, and the one statement that writes all of it.

``write_progress`` takes rows of any number of executions, for one or for many that go on at the same time.
They travel as JSON: a parameter for each table instead of one for each column.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from db.jobs import NEW_JOB_ID
from db.statements import Connection, crossing
from db.transition_executions import LOCKED, LockedTransitionExecutionRow, TransitionExecutionStatus
from db.transitions import TransitionType
from db.workflow_executions import (
    LOCKED_EXECUTION,
    LockedWorkflowExecutionRow,
    WorkflowExecutionStatus,
)
from db.workflow_timers import BEGIN, KIND, MAXIMUM_ATTEMPTS, NEXT_OF_STEP, PRIORITY, QUEUED, SOON
from pagemill.ids import (
    JobId,
    LogId,
    OrganizationId,
    PrincipalId,
    SubjectId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
)


class NewExecution(msgspec.Struct, frozen=True, kw_only=True):
    """Members of an execution that it has from its start."""

    workflow_id: WorkflowId
    input: Mapping[str, Any]
    log_id: LogId
    created_by: PrincipalId | None


class ExecutionChange(msgspec.Struct, frozen=True, kw_only=True):
    """Place at which an execution stands from now on. With ``new`` it is inserted.

    ``output`` counts when it has ended.
    """

    organization_id: OrganizationId
    id: WorkflowExecutionId
    status: WorkflowExecutionStatus
    state: str
    machine: Mapping[str, Any] | None
    output: Mapping[str, Any] | None = None
    ended: bool = False
    new: NewExecution | None = None


class NewLog(msgspec.Struct, frozen=True, kw_only=True):
    """A log without its lines."""

    organization_id: OrganizationId
    id: LogId
    workflow_id: WorkflowId | None = None
    workflow_execution_id: WorkflowExecutionId | None = None
    transition_id: TransitionId | None = None
    transition_execution_id: TransitionExecutionId | None = None


class NewLine(msgspec.Struct, frozen=True, array_like=True):
    """A line of a log; the lines of a log are written in their order."""

    organization_id: OrganizationId
    log_id: LogId
    message: str


class NewStepJob(msgspec.Struct, frozen=True, kw_only=True):
    """The job of a step; its subject is the step."""

    id: JobId
    kind: str
    priority: int
    maximum_attempts: int
    trace_context: str | None


class NewStep(msgspec.Struct, frozen=True, kw_only=True):
    """An execution of a transition; it is due after ``delay`` seconds, or waits to be claimed.

    One that is due at once has its job queued, if it has one, and its timer started. One that is due later
    has a timer that begins it.
    """

    organization_id: OrganizationId
    id: TransitionExecutionId
    transition_id: TransitionId
    transition_type: TransitionType
    workflow_execution_id: WorkflowExecutionId | None
    state: str | None
    key: str | None
    attempt: int
    input: Mapping[str, Any]
    log_id: LogId
    is_due: bool
    delay: float
    timeout_in_seconds: int
    heartbeat_seconds: int | None
    job: NewStepJob | None


class EndedStep(msgspec.Struct, frozen=True, kw_only=True):
    """End of an execution of a transition; its timers are deleted."""

    organization_id: OrganizationId
    id: TransitionExecutionId
    status: TransitionExecutionStatus
    output: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    completed_by: PrincipalId | None


class NewTimer(msgspec.Struct, frozen=True, kw_only=True):
    """A timer of an execution: ``seconds`` from now, or ``until`` a time."""

    organization_id: OrganizationId
    subject_id: SubjectId
    payload: Mapping[str, Any]
    seconds: float | None
    until: datetime.datetime | None


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a meter that were used, whatever the plan allows; one for each meter of a month."""

    organization_id: OrganizationId
    month: str
    meter: str
    amount: Decimal


ONE_BY_ONE = """
    SELECT organization_id, id FROM unnest(:organization_ids::text[], :execution_ids::text[])
        AS one (organization_id, id)
"""


# Locked in the order of their ids, like by every statement that locks several. OFFSET 0: see db/jobs.py.
@crossing(
    "steps of all organizations that ended at the same time share a commit",
    f"""
    WITH mine AS MATERIALIZED (
        SELECT DISTINCT asked.organization_id, step.workflow_execution_id AS id
        FROM ({ONE_BY_ONE}) AS asked
        CROSS JOIN LATERAL (
            SELECT organization_id, workflow_execution_id FROM transition_execution
            WHERE id = asked.id AND workflow_execution_id IS NOT NULL OFFSET 0
        ) AS step
        WHERE step.organization_id = asked.organization_id
    )
    SELECT {LOCKED_EXECUTION}
    FROM (SELECT * FROM mine ORDER BY id) AS mine
    CROSS JOIN LATERAL (
        SELECT * FROM workflow_execution
        WHERE workflow_execution.id = mine.id AND workflow_execution.organization_id = mine.organization_id
        OFFSET 0 FOR UPDATE
    ) AS execution
    JOIN workflow ON workflow.id = execution.workflow_id
    """,
)
async def lock_executions_of_steps(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    execution_ids: Sequence[TransitionExecutionId],
) -> list[LockedWorkflowExecutionRow]:
    """Return the workflows' executions that have these steps, and lock them until the transaction ends."""


@crossing(
    "steps of all organizations that ended at the same time share a commit",
    f"""
    SELECT {LOCKED}
    FROM (SELECT organization_id AS owner_id, id AS asked_id FROM ({ONE_BY_ONE}) AS one ORDER BY id) AS asked
    CROSS JOIN LATERAL (
        SELECT * FROM transition_execution WHERE id = asked.asked_id AND organization_id = asked.owner_id
        OFFSET 0 FOR UPDATE
    ) AS step
    """,
)
async def lock_steps(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    execution_ids: Sequence[TransitionExecutionId],
) -> list[LockedTransitionExecutionRow]:
    """Return executions of transitions, and lock them; those of workflows were locked before."""


# A row that this statement inserts is not there for its other parts: they read what they need from the JSON.
# ``id = ANY`` beside the joins has rows found by their ids, also by a plan that was made for a small table.
@crossing(
    "executions of all organizations that go on at the same time share a commit",
    f"""
    WITH execution AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(:executions::jsonb) AS one (
            organization_id text, id text, status text, state text, machine jsonb, output jsonb,
            ended boolean, new jsonb
        )
    ), step AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(:steps::jsonb) AS one (
            organization_id text, id text, transition_id text, transition_type text,
            workflow_execution_id text, state text, key text, attempt integer, input jsonb, log_id text,
            is_due boolean, delay float8, timeout_in_seconds integer, heartbeat_seconds integer, job jsonb
        )
    ), ended AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(:ended_steps::jsonb) AS one (
            organization_id text, id text, status text, output jsonb, error jsonb, completed_by text
        )
    ), added_logs AS (
        INSERT INTO log (
            organization_id, id, workflow_id, workflow_execution_id, transition_id, transition_execution_id,
            start_time
        )
        SELECT one.*, now() FROM jsonb_to_recordset(:logs::jsonb) AS one (
            organization_id text, id text, workflow_id text, workflow_execution_id text, transition_id text,
            transition_execution_id text
        )
    ), added_lines AS (
        INSERT INTO log_event (organization_id, log_id, time, message)
        SELECT line ->> 0, line ->> 1, clock_timestamp(), line ->> 2
        FROM jsonb_array_elements(:lines::jsonb) WITH ORDINALITY AS one (line, number)
        ORDER BY one.number
    ), added_executions AS (
        INSERT INTO workflow_execution (
            organization_id, id, workflow_id, input, log_id, created_by, status, state, machine, output,
            start_time, end_time
        )
        SELECT execution.organization_id, execution.id, begun.workflow_id, begun.input, begun.log_id,
            begun.created_by, execution.status, execution.state, execution.machine, execution.output, now(),
            CASE WHEN execution.ended THEN now() END
        FROM execution
        CROSS JOIN LATERAL jsonb_to_record(execution.new)
            AS begun (workflow_id text, input jsonb, log_id text, created_by text)
        WHERE execution.new IS NOT NULL
    ), moved_executions AS (
        UPDATE workflow_execution AS moved SET
            status = execution.status, state = execution.state, machine = execution.machine,
            output = CASE WHEN execution.ended THEN execution.output ELSE moved.output END,
            end_time = CASE WHEN execution.ended THEN now() ELSE moved.end_time END
        FROM execution
        WHERE moved.organization_id = execution.organization_id AND moved.id = execution.id
            AND execution.new IS NULL AND moved.id = ANY(ARRAY(SELECT id FROM execution))
    ), added_steps AS (
        INSERT INTO transition_execution (
            organization_id, id, transition_id, workflow_execution_id, state, key, attempt, input, log_id,
            timeout_in_seconds, heartbeat_seconds, created_time, start_time, running_since, heartbeat_time,
            expires
        )
        SELECT organization_id, id, transition_id, workflow_execution_id, state, key, attempt, input, log_id,
            timeout_in_seconds, heartbeat_seconds, now(), due, due,
            CASE WHEN heartbeat_seconds IS NOT NULL THEN due END,
            due + make_interval(secs => timeout_in_seconds)
        FROM step
        CROSS JOIN LATERAL (
            SELECT CASE WHEN step.is_due THEN now() + make_interval(secs => step.delay) END AS due
        ) AS timed
        RETURNING organization_id, id, {NEXT_OF_STEP} AS next
    ), ended_executions AS (
        UPDATE transition_execution AS done SET
            status = ended.status, output = ended.output, error = ended.error,
            completed_by = ended.completed_by, end_time = now()
        FROM ended
        WHERE done.organization_id = ended.organization_id AND done.id = ended.id
            AND done.id = ANY(ARRAY(SELECT id FROM ended))
    ), deleted_timers AS (
        DELETE FROM job WHERE id = ANY(ARRAY(
            SELECT timer.id FROM ended
            CROSS JOIN LATERAL (
                SELECT id FROM job
                WHERE organization_id = ended.organization_id AND subject_id = ended.id AND {QUEUED}
                OFFSET 0 FOR UPDATE SKIP LOCKED
            ) AS timer
        ))
    ), queued AS (
        INSERT INTO job (
            organization_id, id, kind, subject_id, payload, priority, maximum_attempts, run_after,
            trace_context
        )
        SELECT step.organization_id, one.id, one.kind, step.id, '{{}}'::jsonb, one.priority,
            one.maximum_attempts, now(), one.trace_context
        FROM step
        CROSS JOIN LATERAL jsonb_to_record(step.job) AS one (
            id text, kind text, priority integer, maximum_attempts integer, trace_context text
        )
        WHERE step.is_due AND step.delay <= 0 AND step.job IS NOT NULL
        UNION ALL
        SELECT timer.organization_id, {NEW_JOB_ID}, '{KIND}', timer.subject_id, timer.payload, {PRIORITY},
            {MAXIMUM_ATTEMPTS}, timer.due, NULL
        FROM (
            SELECT step.organization_id, step.id, '{{}}'::jsonb, added_steps.next
            FROM step JOIN added_steps ON added_steps.id = step.id
            WHERE step.is_due AND step.delay <= 0 AND added_steps.next IS NOT NULL
            UNION ALL
            SELECT organization_id, id, jsonb_build_object('{BEGIN}', transition_type),
                now() + make_interval(secs => delay)
            FROM step WHERE is_due AND delay > 0
            UNION ALL
            SELECT organization_id, subject_id, payload,
                coalesce(until, now() + make_interval(secs => seconds))
            FROM jsonb_to_recordset(:timers::jsonb) AS one (
                organization_id text, subject_id text, payload jsonb, seconds float8, until timestamptz
            )
        ) AS timer (organization_id, subject_id, payload, due)
        RETURNING kind, run_after
    ), counted AS (
        INSERT INTO usage_counter AS counter (organization_id, month, meter, used)
        SELECT organization_id, month, meter, amount
        FROM jsonb_to_recordset(:used::jsonb)
            AS one (organization_id text, month text, meter text, amount numeric)
        ORDER BY organization_id, month, meter
        ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = counter.used + excluded.used
    )
    SELECT pg_notify('pagemill_job_ready', kind)
    FROM (
        SELECT DISTINCT kind FROM queued WHERE kind <> '{KIND}' OR run_after < now() + {SOON}
    ) AS ready
    """,
)
async def write_progress(
    connection: Connection,
    *,
    executions: Sequence[ExecutionChange],
    steps: Sequence[NewStep],
    ended_steps: Sequence[EndedStep],
    logs: Sequence[NewLog],
    lines: Sequence[NewLine],
    timers: Sequence[NewTimer],
    used: Sequence[Used],
) -> None:
    """Write what has become of executions and their steps, and tell dispatchers of new jobs at commit."""
