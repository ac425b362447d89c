"""Executions of transitions: begin and end them in the caller's transaction."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from db import transition_executions as statements
from db.statements import Connection
from db.transition_executions import LockedTransitionExecutionRow, TransitionExecutionRow
from db.transitions import TransitionToExecuteRow, keep_transition
from pagemill.errors import BadRequest
from pagemill.ids import (
    OrganizationId,
    PrincipalId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
    new_id,
)
from pagemill.usage.counting import count, count_freely
from pagemill.workflows.commons import TIMEOUT_IN_SECONDS, is_commons
from pagemill.workflows.logs import open_log, write_line
from pagemill.workflows.retries import TASK_FAILED
from pagemill.workflows.step_jobs import queue_step

EndStatus: TypeAlias = Literal["succeeded", "failed", "rejected", "retry"]

LONGEST_CLAIM = datetime.timedelta(hours=24)


class TransitionIncomplete(BadRequest):
    """A transition cannot be executed before its image or function is set."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of a transition's execution; ``retry`` asks for the same task again.

    ``error`` is the name by which the ``Retry`` of a task recognizes the failure.
    """

    status: EndStatus
    output: dict[str, Any] | None = None
    message: str | None = None
    error: str = TASK_FAILED


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """Position of a transition's execution in that of a workflow, if any; ``delay`` is in seconds."""

    workflow_id: WorkflowId | None = None
    workflow_execution_id: WorkflowExecutionId | None = None
    state: str | None = None
    attempt: int = 1
    delay: float = 0.0
    timeout_in_seconds: int | None = None


WITHOUT_WORKFLOW = WorkflowStep()


async def transition_to_execute(
    connection: Connection, organization_id: OrganizationId, transition_id: TransitionId
) -> TransitionToExecuteRow | None:
    """Return the transition of a task; one of the organization is kept until the transaction ends."""
    if is_commons(transition_id):
        return TransitionToExecuteRow(transition_id, "lambda", TIMEOUT_IN_SECONDS, None)
    return await keep_transition(connection, organization_id=organization_id, transition_id=transition_id)


async def begin_execution(
    connection: Connection,
    organization_id: OrganizationId,
    transition: TransitionToExecuteRow,
    data: dict[str, Any],
    step: WorkflowStep = WITHOUT_WORKFLOW,
) -> TransitionExecutionRow:
    """Count and add an execution of a transition that the transaction keeps, alone or as a step.

    What a person does not do is queued with it.
    Raises TransitionIncomplete and LimitExceeded.
    """
    if transition.missing_parameter is not None:
        raise TransitionIncomplete(
            f"Transition {transition.id} cannot be executed before parameters.{transition.missing_parameter} "
            "is set"
        )
    await count(connection, organization_id, "transition-executions")
    execution_id = new_id(TransitionExecutionId)
    log_id = await open_log(
        connection,
        organization_id,
        f"Execution {execution_id} of transition {transition.id} has been created",
        workflow_id=step.workflow_id,
        workflow_execution_id=step.workflow_execution_id,
        transition_id=transition.id,
        transition_execution_id=execution_id,
    )
    row = await statements.insert_transition_execution(
        connection,
        organization_id=organization_id,
        execution_id=execution_id,
        transition_id=transition.id,
        workflow_execution_id=step.workflow_execution_id,
        state=step.state,
        attempt=step.attempt,
        input=data,
        log_id=log_id,
        is_due=transition.transition_type != "manual",
        delay=step.delay,
        timeout_in_seconds=step.timeout_in_seconds or transition.timeout_in_seconds,
    )
    await queue_step(connection, organization_id, transition.transition_type, execution_id, delay=step.delay)
    return row


async def lock_running(
    connection: Connection, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> LockedTransitionExecutionRow | None:
    """Lock and return an execution; None when there is none.

    Raises BadRequest when it has ended or timed out.
    """
    row = await statements.lock_transition_execution(
        connection, organization_id=organization_id, execution_id=execution_id
    )
    if row is not None and row.timed_out and row.status == "running":
        raise BadRequest(f"Transition execution {execution_id} has timed out")
    if row is not None and row.status != "running":
        raise BadRequest(f"Transition execution {execution_id} has ended: its status is {row.status}")
    return row


async def end_execution(
    connection: Connection,
    organization_id: OrganizationId,
    row: LockedTransitionExecutionRow,
    result: StepResult,
    *,
    by: PrincipalId | None,
) -> None:
    """End a locked execution with its result, and count the time that a user spent on it."""
    end_time = await statements.end_transition_execution(
        connection,
        organization_id=organization_id,
        execution_id=row.id,
        status=result.status,
        output=result.output,
        error=None if result.message is None else {"message": result.message},
        completed_by=by,
    )
    line = f"Ended by {by}: {result.status}" if by else f"Ended: {result.status}"
    if result.message:
        line = f"{line}: {result.message}"
    await write_line(connection, organization_id, row.log_id, line)
    if row.claimed_time is not None and (row.claimed_by or "").startswith("las:user:"):
        # Clients can report any startTime; the time of the claim is the server's own.
        spent = min(end_time - row.claimed_time, LONGEST_CLAIM)
        await count_freely(connection, organization_id, "user-minutes", spent.total_seconds() / 60)
