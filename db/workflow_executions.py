"""Executions of workflows. Lock the row of an execution before the row of one of its steps."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from db.keyset import IN_UNION, SORT_COLUMNS, Order, SortBy, nullable_page
from db.statements import Connection, NeverNull, Row, RowCount, Statement, columns, tenant
from db.workflows import WorkflowStatus, events_wanted
from pagemill.ids import (
    LogId,
    OrganizationId,
    PrincipalId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
)

WorkflowExecutionStatus: TypeAlias = Literal[
    "running", "succeeded", "failed", "rejected", "retry", "error", "completed"
]

KEPT_EVENTS = 1000


class WorkflowExecutionRow(Row):
    """An execution of a workflow; ``transition_executions`` has the ids of its steps by transition."""

    id: Annotated[WorkflowExecutionId, IN_UNION]
    workflow_id: Annotated[WorkflowId, IN_UNION]
    input: Annotated[dict[str, Any], IN_UNION]
    output: dict[str, Any] | None
    status: Annotated[WorkflowExecutionStatus, IN_UNION]
    events: Annotated[list[dict[str, Any]], IN_UNION]
    completed_by: Annotated[list[PrincipalId], IN_UNION]
    log_id: LogId | None
    completed_task_log_id: LogId | None
    created_by: PrincipalId | None
    start_time: Annotated[datetime.datetime, IN_UNION]
    end_time: datetime.datetime | None
    transition_executions: Annotated[
        dict[TransitionId, list[TransitionExecutionId]], NeverNull("an empty object without steps")
    ]


class ListedWorkflowExecutionRow(WorkflowExecutionRow):
    """An execution of a workflow in a page that may have fewer rows than the limit."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class LockedWorkflowExecutionRow(Row):
    """An execution of a workflow whose row is locked, and the workflow's members that it depends on."""

    organization_id: OrganizationId
    id: WorkflowExecutionId
    workflow_id: WorkflowId
    input: dict[str, Any]
    state: str | None
    status: WorkflowExecutionStatus
    log_id: LogId | None
    start_time: datetime.datetime
    machine: dict[str, Any] | None
    now: Annotated[datetime.datetime, NeverNull("now()")]
    workflow_name: str | None
    error_config: dict[str, Any] | None
    workflow_status: WorkflowStatus
    has_completed_task: Annotated[bool, NeverNull("whether it is null")]
    events_wanted: Annotated[bool, NeverNull("EXISTS")]
    """True when a webhook wants events of executions."""


TRANSITION_EXECUTIONS = """coalesce((
    SELECT jsonb_object_agg(steps.transition_id, steps.ids)
    FROM (
        SELECT step.transition_id, jsonb_agg(step.id ORDER BY step.created_time, step.id) AS ids
        FROM transition_execution AS step
        WHERE step.organization_id = :organization_id AND step.workflow_execution_id = workflow_execution.id
        GROUP BY step.transition_id
    ) AS steps
), '{}')"""


LOCKED_EXECUTION = columns(
    LockedWorkflowExecutionRow,
    "execution",
    now="now()",
    workflow_name="workflow.name",
    error_config="workflow.error_config",
    workflow_status="workflow.status",
    has_completed_task="workflow.completed_config IS NOT NULL",
    events_wanted=events_wanted("execution.organization_id"),
)


@tenant(f"""
    SELECT {columns(WorkflowExecutionRow, transition_executions=TRANSITION_EXECUTIONS)}
    FROM workflow_execution
    WHERE organization_id = :organization_id AND workflow_id = :workflow_id AND id = :execution_id
""")
async def get_workflow_execution(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    execution_id: WorkflowExecutionId,
) -> WorkflowExecutionRow | None:
    """Return an execution of a workflow."""


@tenant(f"""
    SELECT {columns(WorkflowExecutionRow, transition_executions=TRANSITION_EXECUTIONS)}
    FROM workflow_execution
    WHERE organization_id = :organization_id AND id = ANY(:execution_ids::text[])
""")
async def get_workflow_executions(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    execution_ids: Sequence[WorkflowExecutionId],
) -> list[WorkflowExecutionRow]:
    """Return executions in any order."""


def _list_by(sort_by: SortBy, order: Order) -> Statement[..., list[ListedWorkflowExecutionRow]]:
    async def list_by(
        connection: Connection,
        *,
        organization_id: OrganizationId,
        workflow_id: WorkflowId,
        statuses: Sequence[WorkflowExecutionStatus] | None,
        from_start_time: datetime.datetime | None,
        to_start_time: datetime.datetime | None,
        after_time: datetime.datetime | None,
        after_id: str | None,
        limit: int,
    ) -> list[ListedWorkflowExecutionRow]: ...

    list_by.__name__ = f"list_by_{SORT_COLUMNS[sort_by]}_{order}"
    filters = """
        organization_id = :organization_id AND workflow_id = :workflow_id
        AND (:statuses::text[] IS NULL OR status = ANY(:statuses))
        AND start_time >= coalesce(:from_start_time::timestamptz, '-infinity')
        AND start_time <= coalesce(:to_start_time::timestamptz, 'infinity')
    """
    page = nullable_page(
        WorkflowExecutionRow,
        "workflow_execution",
        filters,
        column=SORT_COLUMNS[sort_by],
        order=order,
        large=("input", "output", "events", "transition_executions"),
        transition_executions=TRANSITION_EXECUTIONS,
    )
    return tenant(page)(list_by)


LISTS: dict[tuple[SortBy, Order], Statement[..., list[ListedWorkflowExecutionRow]]] = {
    ("startTime", "ascending"): _list_by("startTime", "ascending"),
    ("startTime", "descending"): _list_by("startTime", "descending"),
    ("endTime", "ascending"): _list_by("endTime", "ascending"),
    ("endTime", "descending"): _list_by("endTime", "descending"),
}
"""The statements behind ``list_workflow_executions``."""


async def list_workflow_executions(
    connection: Connection,
    *,
    sort_by: SortBy,
    order: Order,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    statuses: Sequence[WorkflowExecutionStatus] | None,
    from_start_time: datetime.datetime | None,
    to_start_time: datetime.datetime | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedWorkflowExecutionRow]:
    """Return a page of the executions of a workflow that meet all filters."""
    return await LISTS[sort_by, order](
        connection,
        organization_id=organization_id,
        workflow_id=workflow_id,
        statuses=statuses,
        from_start_time=from_start_time,
        to_start_time=to_start_time,
        after_time=after_time,
        after_id=after_id,
        limit=limit,
    )


@tenant(f"""
    SELECT {LOCKED_EXECUTION}
    FROM workflow_execution AS execution JOIN workflow ON workflow.id = execution.workflow_id
    WHERE execution.organization_id = :organization_id AND execution.id = :execution_id
    FOR UPDATE OF execution
""")
async def lock_workflow_execution(
    connection: Connection, *, organization_id: OrganizationId, execution_id: WorkflowExecutionId
) -> LockedWorkflowExecutionRow | None:
    """Return an execution and lock it until the transaction ends."""


@tenant("""
    UPDATE workflow_execution SET status = 'running', output = NULL, end_time = NULL
    WHERE organization_id = :organization_id AND id = :execution_id
""")
async def reopen_workflow_execution(
    connection: Connection, *, organization_id: OrganizationId, execution_id: WorkflowExecutionId
) -> None:
    """Let an execution that has ended, or waits, run again."""


# An execution can go round for as long as its plan allows: only the newest events are kept.
@tenant(f"""
    UPDATE workflow_execution SET
        events = CASE WHEN jsonb_array_length(events) < {KEPT_EVENTS} THEN events ELSE events - 0 END
            || jsonb_build_array(:event::jsonb)
    WHERE organization_id = :organization_id AND id = :execution_id
""")
async def add_event(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    execution_id: WorkflowExecutionId,
    event: Mapping[str, Any],
) -> None:
    """Add an event; the oldest one goes when there are too many."""


@tenant("""
    UPDATE workflow_execution SET
        status = :status,
        completed_by = CASE
            WHEN :status = 'completed' AND NOT completed_by ? :caller_id
                THEN completed_by || to_jsonb(:caller_id::text)
            ELSE completed_by
        END
    WHERE organization_id = :organization_id AND workflow_id = :workflow_id AND id = :execution_id
        AND status IN ('succeeded', 'completed')
""")
async def complete_workflow_execution(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    execution_id: WorkflowExecutionId,
    status: Literal["succeeded", "completed"],
    caller_id: PrincipalId,
) -> RowCount:
    """Mark an execution that has succeeded as completed, or take that back."""


@tenant("DELETE FROM workflow_execution WHERE organization_id = :organization_id AND id = :execution_id")
async def delete_workflow_execution(
    connection: Connection, *, organization_id: OrganizationId, execution_id: WorkflowExecutionId
) -> RowCount:
    """Delete an execution with its steps."""
