"""Timers of workflows when they are due: what has become of their subject decides what is done.

A timer that fires late or twice changes nothing: the rows that it would change are locked and looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db import transition_executions
from db.statements import Connection
from db.transition_executions import LockedTransitionExecutionRow
from db.workflow_timers import BEGIN
from pagemill.ids import OrganizationId, SubjectId, TransitionExecutionId, WorkflowExecutionId
from pagemill.workflows.failures import HEARTBEAT_TIMED_OUT, RUNTIME, TIMED_OUT
from pagemill.workflows.machine import Failed, TimerFired
from pagemill.workflows.progress import KEY, LockedExecution
from pagemill.workflows.step_endings import end_step
from pagemill.workflows.transition_executions import (
    StepResult,
    cancel_job_of_step,
    run_step,
    watch_step,
)
from pagemill.workflows.workflow_executions import lock_execution


async def fire_timer(
    connection: Connection,
    organization_id: OrganizationId,
    subject_id: SubjectId,
    payload: Mapping[str, Any],
) -> None:
    """Do what is due, in the caller's transaction."""
    if KEY in payload:
        await _fire_timer_of_execution(
            connection, organization_id, WorkflowExecutionId(subject_id), payload[KEY]
        )
    else:
        await _fire_timer_of_step(
            connection, organization_id, TransitionExecutionId(subject_id), payload.get(BEGIN)
        )


async def abandon_timer(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, reason: str
) -> None:
    """Fail the execution of a workflow whose timer cannot be fired: it must not stand still."""
    step = await transition_executions.find_workflow_execution_of_step(
        connection,
        organization_id=organization_id,
        transition_id=None,
        execution_id=TransitionExecutionId(subject_id),
    )
    execution_id = WorkflowExecutionId(subject_id) if step is None else step.workflow_execution_id
    if execution_id is None:
        return
    execution = await lock_execution(connection, organization_id, execution_id)
    if execution is not None and execution.status == "running":
        await execution.fail(Failed(execution.machine.state, RUNTIME, f"A timer has failed: {reason}"))
        await execution.write()


async def _fire_timer_of_execution(
    connection: Connection, organization_id: OrganizationId, execution_id: WorkflowExecutionId, key: str
) -> None:
    execution = await lock_execution(connection, organization_id, execution_id)
    if execution is not None and execution.status == "running":
        await execution.go_on_or_fail(TimerFired(key))


async def _fire_timer_of_step(
    connection: Connection,
    organization_id: OrganizationId,
    execution_id: TransitionExecutionId,
    begins: Any,
) -> None:
    execution, row = await _lock_step(connection, organization_id, execution_id)
    if row is None or row.status != "running":
        await cancel_job_of_step(connection, organization_id, execution_id)
    elif begins is not None:
        await run_step(connection, organization_id, execution_id, begins)
    elif (result := _what_is_due(row)) is not None:
        await end_step(connection, execution, row, result, by=None, cancel_job=True)
    else:
        await watch_step(connection, organization_id, execution_id)


async def _lock_step(
    connection: Connection, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> tuple[LockedExecution | None, LockedTransitionExecutionRow | None]:
    """Lock a step, and before it the execution of a workflow that it is a step of."""
    step = await transition_executions.find_workflow_execution_of_step(
        connection, organization_id=organization_id, transition_id=None, execution_id=execution_id
    )
    execution = None
    if step is not None and step.workflow_execution_id is not None:
        execution = await lock_execution(connection, organization_id, step.workflow_execution_id)
    row = await transition_executions.lock_transition_execution(
        connection, organization_id=organization_id, execution_id=execution_id
    )
    return execution, row


def _what_is_due(row: LockedTransitionExecutionRow) -> StepResult | None:
    """Return how a running step ends now, or None when its time has not come.

    A claim that has lapsed leaves its step waiting for somebody else, without a limit.
    """
    if row.heartbeat_missed:
        return StepResult("failed", message="No heartbeat came in time", error=HEARTBEAT_TIMED_OUT)
    if row.timed_out and not row.claim_lapsed:
        return StepResult("failed", message="It has timed out", error=TIMED_OUT)
    return None
