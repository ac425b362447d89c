"""Executions of workflows: each goes on in the transaction that ends its step before, or fires its timer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from db import transition_executions
from db import workflow_executions as statements
from db.logs import delete_logs_of_workflow_execution
from db.statements import Connection
from db.workflow_executions import LockedWorkflowExecutionRow, WorkflowExecutionRow
from db.workflow_progress import NewExecution
from db.workflows import WorkflowToStartRow, keep_workflow
from pagemill.errors import BadRequest
from pagemill.ids import (
    OrganizationId,
    PrincipalId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
    new_id,
)
from pagemill.workflows.adoption import failed_machine_at, machine_at
from pagemill.workflows.changes import Changes, count_with_steps, write_together
from pagemill.workflows.definition import COMMONS_FAILED, Definition, task_of_transition
from pagemill.workflows.definitions import definition_of
from pagemill.workflows.frames import waiting_keys
from pagemill.workflows.machine import Jump, Machine
from pagemill.workflows.progress import LockedExecution
from pagemill.workflows.transition_executions import Transitions, end_open_steps


class Start(NamedTuple):
    """An execution that is asked for; ``by`` is who does."""

    workflow_id: WorkflowId
    input: dict[str, Any]
    by: PrincipalId | None


async def start_execution(
    connection: Connection,
    organization_id: OrganizationId,
    workflow: WorkflowToStartRow,
    start: Start,
    *,
    development_allowance: int,
) -> WorkflowExecutionId:
    """Start a workflow that the transaction keeps; return the execution's id. Raises LimitExceeded."""
    execution = await _begin(Changes(connection, organization_id), Transitions(connection), workflow, start)
    await count_with_steps([execution.changes], execution.wanted(development_allowance))
    await execution.write()
    return execution.execution_id


async def start_together(
    connection: Connection,
    organization_id: OrganizationId,
    starts: Sequence[Start],
    *,
    development_allowance: int,
) -> list[WorkflowExecutionRow | None]:
    """Start executions of one organization by as few statements as one; return their rows.

    It is None where the organization has no such workflow. Raises LimitExceeded when the plan does not allow
    all of them; the transaction must not be committed then.
    """
    transitions = Transitions(connection)
    workflows: dict[WorkflowId, WorkflowToStartRow | None] = {}
    started: list[LockedExecution | None] = []
    for start in starts:
        if start.workflow_id not in workflows:
            workflows[start.workflow_id] = await keep_workflow(
                connection, organization_id=organization_id, workflow_id=start.workflow_id
            )
        workflow = workflows[start.workflow_id]
        if workflow is None:
            started.append(None)
            continue
        started.append(await _begin(Changes(connection, organization_id), transitions, workflow, start))
        # Decisions take up to some milliseconds each: others on the event loop have their turns.
        await asyncio.sleep(0)
    executions = [one for one in started if one is not None]
    wanted = [one for execution in executions for one in execution.wanted(development_allowance)]
    await count_with_steps([execution.changes for execution in executions], wanted)
    await write_together(connection, [execution.changes for execution in executions])
    rows = await statements.get_workflow_executions(
        connection,
        organization_id=organization_id,
        execution_ids=[execution.execution_id for execution in executions],
    )
    by_id = {row.id: row for row in rows}
    return [None if one is None else by_id[one.execution_id] for one in started]


async def _begin(
    changes: Changes, transitions: Transitions, workflow: WorkflowToStartRow, start: Start
) -> LockedExecution:
    """Enter the first states of a new execution. Raises LimitExceeded."""
    connection, organization_id = changes.connection, changes.organization_id
    workflow_id, data, by = start
    execution_id = new_id(WorkflowExecutionId)
    log_id = changes.open_log(
        f"Execution {execution_id} of workflow {workflow_id} has started",
        workflow_id=workflow_id,
        workflow_execution_id=execution_id,
    )
    definition = await definition_of(connection, organization_id, workflow_id)
    execution = LockedExecution(
        changes=changes,
        transitions=transitions,
        workflow_id=workflow_id,
        workflow_name=workflow.name,
        execution_id=execution_id,
        log_id=log_id,
        input=data,
        definition=definition,
        manual_retry=wants_manual_retry(workflow.error_config),
        production=workflow.status == "production",
        has_completed_task=workflow.has_completed_task,
        events_wanted=workflow.events_wanted,
        start_time=workflow.now,
        now=workflow.now,
        status="running",
        machine=failed_machine_at(definition.start_at, data),
        new=NewExecution(workflow_id=workflow_id, input=data, log_id=log_id, created_by=by),
        open_keys=set(),
    )
    await execution.begin()
    return execution


def wants_manual_retry(error_config: dict[str, Any] | None) -> bool:
    """Return whether a failed execution of the workflow waits for a request with its next transition."""
    return bool((error_config or {}).get("manualRetry"))


async def lock_execution(
    connection: Connection, organization_id: OrganizationId, execution_id: WorkflowExecutionId
) -> LockedExecution | None:
    """Lock and return an execution; None when there is none."""
    row = await statements.lock_workflow_execution(
        connection, organization_id=organization_id, execution_id=execution_id
    )
    return None if row is None else await locked_execution(connection, row, Transitions(connection))


async def locked_execution(
    connection: Connection, row: LockedWorkflowExecutionRow, transitions: Transitions
) -> LockedExecution:
    """Return an execution whose row is locked."""
    definition = await definition_of(connection, row.organization_id, row.workflow_id)
    machine = await _machine_of(connection, row, definition)
    return LockedExecution(
        changes=Changes(connection, row.organization_id),
        transitions=transitions,
        workflow_id=row.workflow_id,
        workflow_name=row.workflow_name,
        execution_id=row.id,
        log_id=row.log_id,
        input=row.input,
        definition=definition,
        manual_retry=wants_manual_retry(row.error_config),
        production=row.workflow_status == "production",
        has_completed_task=row.has_completed_task,
        events_wanted=row.events_wanted,
        start_time=row.start_time,
        now=row.now,
        status=row.status,
        machine=machine,
        open_keys=None if row.machine is None else set(waiting_keys(machine.root)),
    )


async def _machine_of(
    connection: Connection, row: LockedWorkflowExecutionRow, definition: Definition
) -> Machine:
    """Return where an execution stands. For one that an earlier release has moved its newest step tells."""
    if row.machine is not None:
        return msgspec.convert(row.machine, Machine)
    newest = await transition_executions.lock_newest_step(
        connection, organization_id=row.organization_id, workflow_execution_id=row.id
    )
    if newest is None or newest.state is None:
        return failed_machine_at(row.state or definition.start_at, row.input)
    if newest.status == "running":
        return machine_at(newest.state, newest.input, attempt=newest.attempt)[0]
    data = newest.output or {} if newest.status == "succeeded" else newest.input
    return failed_machine_at(row.state or newest.state, data)


async def remove_execution(
    connection: Connection,
    organization_id: OrganizationId,
    execution_id: WorkflowExecutionId,
    *,
    by: PrincipalId,
) -> bool:
    """End what is open of an execution, and delete it with its steps and logs; return whether it existed."""
    row = await statements.lock_workflow_execution(
        connection, organization_id=organization_id, execution_id=execution_id
    )
    if row is None:
        return False
    changes = Changes(connection, organization_id)
    await end_open_steps(
        changes,
        execution_id,
        "The workflow's execution was deleted",
        by=by,
        production=row.workflow_status == "production",
    )
    await changes.write()
    await delete_logs_of_workflow_execution(
        connection, organization_id=organization_id, workflow_execution_id=execution_id
    )
    await statements.delete_workflow_execution(
        connection, organization_id=organization_id, execution_id=execution_id
    )
    return True


async def jump(execution: LockedExecution, transition_id: TransitionId, *, by: PrincipalId) -> None:
    """Go on with another transition, on the output of the newest step.

    Its input is taken instead when it has not succeeded. Raises BadRequest and LimitExceeded.
    """
    if execution.status not in ("running", "retry"):
        raise BadRequest(f"nextTransitionId: the execution has ended: its status is {execution.status}")
    state = task_of_transition(execution.definition, transition_id, execution.machine.state)
    if state is None and transition_id != COMMONS_FAILED:
        raise BadRequest(f"nextTransitionId: no state of the workflow runs transition {transition_id}")
    await execution.end_open(f"The workflow's execution went on with {transition_id}", by=by)
    await execution.add_event("NextTransition", transitionId=transition_id, by=by)
    if transition_id == COMMONS_FAILED or state is None:
        await execution.give_up(by=by)
    else:
        execution.write_line(f"Goes on with {transition_id}, requested by {by}")
        execution.status = "running"
        await execution.go_on(Jump(state))
    await execution.write()


async def retry(execution: LockedExecution, *, by: str) -> None:
    """Let an execution that has failed, or waits after a failure, go on in the state that has failed.

    Raises BadRequest and LimitExceeded.
    """
    if execution.status not in ("failed", "error", "retry"):
        raise BadRequest(f"only a failed execution is tried again: its status is {execution.status}")
    state = execution.machine.state
    await execution.add_event("Retried", state=state, by=by)
    execution.write_line(f"Goes on with state {state}, requested by {by}")
    await execution.reopen()
    await execution.write()


async def cancel(execution: LockedExecution, *, by: str) -> None:
    """End an execution that runs or waits as failed. Raises BadRequest when it has ended."""
    if execution.status not in ("running", "retry"):
        raise BadRequest(f"the execution has ended: its status is {execution.status}")
    await execution.give_up(by=by)
    await execution.write()
