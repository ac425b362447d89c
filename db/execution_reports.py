"""Reports on executions of workflows, for the operator."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Any

from db.statements import Connection, NeverNull, Row, columns, crossing, tenant
from db.transition_executions import TransitionExecutionStatus
from db.transitions import TransitionType
from db.workflow_executions import WorkflowExecutionStatus
from pagemill.ids import (
    OrganizationId,
    PrincipalId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
)


class ExecutionReportRow(Row):
    """An execution of a workflow; ``failure`` is the newest event that tells of one."""

    id: WorkflowExecutionId
    organization_id: OrganizationId
    workflow_id: WorkflowId
    workflow_name: str | None
    status: WorkflowExecutionStatus
    state: str | None
    start_time: datetime.datetime
    end_time: datetime.datetime | None
    failure: dict[str, Any] | None


class ExecutionToShowRow(ExecutionReportRow):
    """The same with all events, and the time at which the database was asked."""

    created_by: PrincipalId | None
    events: list[dict[str, Any]]
    now: Annotated[datetime.datetime, NeverNull("the clock")]


class StepReportRow(Row):
    """A step of a workflow's execution, without its input and output.

    One that runs a transition of all organizations, which has no row, is of the type lambda.
    """

    id: TransitionExecutionId
    transition_id: TransitionId
    transition_name: str | None
    transition_type: Annotated[TransitionType, NeverNull("coalesce")]
    state: str | None
    attempt: int
    status: TransitionExecutionStatus
    error: dict[str, Any] | None
    created_time: datetime.datetime
    start_time: datetime.datetime | None
    end_time: datetime.datetime | None
    deferred_until: datetime.datetime | None
    claimed_by: PrincipalId | None
    claimed_time: datetime.datetime | None
    former_claims: list[dict[str, Any]]
    completed_by: PrincipalId | None


class LastLineRow(Row):
    """A line of the log of an execution or of one of its steps."""

    time: datetime.datetime
    transition_execution_id: TransitionExecutionId | None
    message: str


OF_WORKFLOW = {
    "workflow_name": "workflow.name",
    "failure": """
        jsonb_path_query_array(execution.events, '$[*] ? (@.type == "ExecutionFailed")') -> -1
    """,
}


@crossing(
    "the operator looks at the executions of all organizations",
    f"""
    SELECT {columns(ExecutionReportRow, "execution", **OF_WORKFLOW)}
    FROM workflow_execution AS execution JOIN workflow ON workflow.id = execution.workflow_id
    WHERE (:organization_id::text IS NULL OR execution.organization_id = :organization_id)
        AND (:workflow_id::text IS NULL OR execution.workflow_id = :workflow_id)
        AND (:statuses::text[] IS NULL OR execution.status = ANY(:statuses))
        AND execution.start_time >= coalesce(:since::timestamptz, '-infinity')
    ORDER BY execution.start_time DESC, execution.id LIMIT :limit
    """,
)
async def list_executions(
    connection: Connection,
    *,
    organization_id: OrganizationId | None,
    workflow_id: WorkflowId | None,
    statuses: Sequence[WorkflowExecutionStatus] | None,
    since: datetime.datetime | None,
    limit: int,
) -> list[ExecutionReportRow]:
    """Return executions that meet all filters, the newest first."""


@crossing(
    "the operator names an execution, whosever it is",
    f"""
    SELECT {columns(ExecutionToShowRow, "execution", now="clock_timestamp()", **OF_WORKFLOW)}
    FROM workflow_execution AS execution JOIN workflow ON workflow.id = execution.workflow_id
    WHERE execution.id = :execution_id
    """,
)
async def find_execution(
    connection: Connection, *, execution_id: WorkflowExecutionId
) -> ExecutionToShowRow | None:
    """Return the execution of an id."""


@tenant(f"""
    SELECT {
    columns(
        StepReportRow,
        "step",
        transition_name="transition.name",
        transition_type="coalesce(transition.transition_type, 'lambda')",
    )
}
    FROM transition_execution AS step LEFT JOIN transition
        ON transition.organization_id = :organization_id AND transition.id = step.transition_id
    WHERE step.organization_id = :organization_id AND step.workflow_execution_id = :workflow_execution_id
    ORDER BY step.created_time, step.id
""")
async def list_steps(
    connection: Connection, *, organization_id: OrganizationId, workflow_execution_id: WorkflowExecutionId
) -> list[StepReportRow]:
    """Return the steps of an execution, the oldest first."""


# Of each log only the end is read: one of them may have very many lines.
@tenant("""
    SELECT time, transition_execution_id, message FROM (
        SELECT line.id, line.time, log.transition_execution_id, line.message
        FROM log
        CROSS JOIN LATERAL (
            SELECT id, time, message FROM log_event
            WHERE organization_id = :organization_id AND log_id = log.id ORDER BY id DESC LIMIT :limit
        ) AS line
        WHERE log.organization_id = :organization_id AND log.workflow_execution_id = :workflow_execution_id
        ORDER BY line.id DESC LIMIT :limit
    ) AS newest
    ORDER BY id
""")
async def list_last_lines(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_execution_id: WorkflowExecutionId,
    limit: int,
) -> list[LastLineRow]:
    """Return the newest lines of the logs of an execution and of its steps, in their order."""
