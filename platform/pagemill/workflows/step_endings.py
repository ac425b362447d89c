"""Ends of steps: whoever ends one lets its workflow's execution go on, in the same transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, assert_never

from db import transition_executions
from db.statements import Connection
from db.transition_executions import LockedTransitionExecutionRow
from db.workflow_progress import lock_executions_of_steps, lock_steps
from pagemill.errors import LimitExceeded
from pagemill.ids import (
    OrganizationId,
    PrincipalId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
)
from pagemill.usage.limits import limit_exceeded
from pagemill.workflows.changes import Changes, Mark, refused, write_together
from pagemill.workflows.machine import Event, TaskFailed, TaskSucceeded
from pagemill.workflows.progress import LockedExecution
from pagemill.workflows.transition_executions import StepResult, Transitions, end_execution, lock_running
from pagemill.workflows.workflow_executions import lock_execution, locked_execution


async def finish_step(
    connection: Connection,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
    result: StepResult,
    *,
    by: PrincipalId | None,
) -> bool:
    """End a transition's execution and let the workflow's execution go on; the first caller wins.

    ``by`` is None for the worker of the step's own job, which is cancelled when anybody else ends the step.
    Returns whether there is such an execution. Raises BadRequest when it has ended or timed out.
    """
    step = await transition_executions.find_workflow_execution_of_step(
        connection, organization_id=organization_id, transition_id=transition_id, execution_id=execution_id
    )
    if step is None:
        return False
    execution = None
    if step.workflow_execution_id is not None:
        execution = await lock_execution(connection, organization_id, step.workflow_execution_id)
    row = await lock_running(connection, organization_id, execution_id, by=by)
    if row is None:
        return False
    await end_step(connection, execution, row, result, by=by, cancel_job=by is not None)
    return True


async def end_step(
    connection: Connection,
    execution: LockedExecution | None,
    row: LockedTransitionExecutionRow,
    result: StepResult,
    *,
    by: PrincipalId | None,
    cancel_job: bool,
) -> None:
    """End a locked step, and let the locked execution that it is a step of go on, if it is one."""
    await _end_together(connection, [_Ending(execution, row, result)], by=by, cancel_job=cancel_job)


class ReportedStep(NamedTuple):
    """A step, and the result that the worker of its own job has come to."""

    organization_id: OrganizationId
    id: TransitionExecutionId
    result: StepResult


async def finish_steps(connection: Connection, reported: Sequence[ReportedStep]) -> None:
    """End steps with what the workers of their own jobs have come to, by as few statements as one step.

    Those that have ended or timed out meanwhile are left as they are.
    """
    if not reported:
        return
    transitions = Transitions(connection)
    rows = await lock_executions_of_steps(connection, **_ids_of(reported))
    executions = {row.id: await locked_execution(connection, row, transitions) for row in rows}
    waiting = list(reported)
    while waiting:
        waiting = await _finish_some(connection, executions, waiting)


async def _finish_some(
    connection: Connection,
    executions: Mapping[WorkflowExecutionId, LockedExecution],
    reported: Sequence[ReportedStep],
) -> list[ReportedStep]:
    """End at most one step of each execution; return the others, which may be ended by what follows."""
    by_id = {one.id: one for one in reported}
    endings: dict[str, _Ending] = {}
    later: list[ReportedStep] = []
    for row in await lock_steps(connection, **_ids_of(reported)):
        execution = executions.get(row.workflow_execution_id) if row.workflow_execution_id else None
        subject = row.id if execution is None else execution.execution_id
        if row.status != "running" or row.timed_out:
            continue
        if subject in endings:
            later.append(by_id[row.id])
        else:
            endings[subject] = _Ending(execution, row, by_id[row.id].result)
    await _end_together(connection, list(endings.values()), by=None, cancel_job=False)
    return later


def _ids_of(reported: Sequence[ReportedStep]) -> dict[str, Any]:
    return {
        "organization_ids": [one.organization_id for one in reported],
        "execution_ids": [one.id for one in reported],
    }


class _Ending(NamedTuple):
    """A locked step, the locked execution that it is a step of, if it is one, and its result."""

    execution: LockedExecution | None
    row: LockedTransitionExecutionRow
    result: StepResult


async def _end_together(
    connection: Connection, endings: Sequence[_Ending], *, by: PrincipalId | None, cancel_job: bool
) -> None:
    """End steps, at most one of an execution; let the executions go on, and write all that follows.

    Where the plan allows no further task, what has happened before is kept: only the execution fails.
    """
    all_changes: list[Changes] = []
    went_on: dict[int, tuple[LockedExecution, Mark]] = {}
    for execution, row, result in endings:
        changes = Changes(connection, row.organization_id) if execution is None else execution.changes
        all_changes.append(changes)
        production = execution is not None and execution.production
        await end_execution(changes, row, result, by=by, production=production, cancel_job=cancel_job)
        if execution is not None and row.state is not None and execution.status == "running":
            mark = changes.mark()
            went_on[id(changes)] = (execution, mark)
            # Decisions take up to some milliseconds each: others on the event loop have their turns.
            await asyncio.sleep(0)
            try:
                await _go_on(execution, row, result)
            except LimitExceeded as error:
                await execution.fail_at_limit(mark, error)
    for changes in await refused(all_changes):
        execution, mark = went_on[id(changes)]
        await execution.fail_at_limit(mark, limit_exceeded("transition-executions"))
    await write_together(connection, all_changes)


async def _go_on(execution: LockedExecution, row: LockedTransitionExecutionRow, result: StepResult) -> None:
    key = execution.key_of(row)
    if result.status == "rejected":
        execution.closed(key)
        await execution.end("rejected")
    else:
        await execution.go_on(_event_of(key, result))


def _event_of(key: str, result: StepResult) -> Event:
    match result.status:
        case "succeeded":
            return TaskSucceeded(key, result.output or {})
        case "failed" | "retry" | "rejected":
            return TaskFailed(key, result.error, result.message or "", retry=result.status == "retry")
        case other:
            assert_never(other)
