"""Executions of workflows: each goes on in the transaction that ends its step before, or fires its timer."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from db import transition_executions
from db import workflow_executions as statements
from db.logs import delete_logs_of_workflow_execution
from db.statements import Connection
from db.transition_executions import LockedTransitionExecutionRow
from db.workflow_executions import LockedWorkflowExecutionRow
from db.workflows import WorkflowToStartRow
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
from pagemill.usage.counting import count_workflow_execution
from pagemill.workflows.adoption import failed_machine_at, machine_at
from pagemill.workflows.definition import COMMONS_FAILED, Definition, task_of_transition
from pagemill.workflows.definitions import definition_of
from pagemill.workflows.logs import open_log
from pagemill.workflows.machine import Event, Jump, Machine, TaskFailed, TaskSucceeded
from pagemill.workflows.progress import LockedExecution
from pagemill.workflows.transition_executions import (
    StepResult,
    end_execution,
    end_open_steps,
    lock_running,
)


async def start_execution(
    connection: Connection,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    workflow: WorkflowToStartRow,
    data: dict[str, Any],
    *,
    by: PrincipalId | None,
    development_allowance: int,
) -> WorkflowExecutionId:
    """Start a workflow that the transaction keeps; return the execution's id. Raises LimitExceeded."""
    production = workflow.status == "production"
    await count_workflow_execution(
        connection, organization_id, workflow_id, allowed=None if production else development_allowance
    )
    execution_id = new_id(WorkflowExecutionId)
    log_id = await open_log(
        connection,
        organization_id,
        f"Execution {execution_id} of workflow {workflow_id} has started",
        workflow_id=workflow_id,
        workflow_execution_id=execution_id,
    )
    start_time = await statements.insert_workflow_execution(
        connection,
        organization_id=organization_id,
        execution_id=execution_id,
        workflow_id=workflow_id,
        input=data,
        log_id=log_id,
        created_by=by,
    )
    definition = await definition_of(connection, organization_id, workflow_id)
    execution = LockedExecution(
        connection=connection,
        organization_id=organization_id,
        workflow_id=workflow_id,
        workflow_name=workflow.name,
        execution_id=execution_id,
        log_id=log_id,
        input=data,
        definition=definition,
        manual_retry=wants_manual_retry(workflow.error_config),
        production=production,
        start_time=start_time,
        now=start_time,
        status="running",
        machine=failed_machine_at(definition.start_at, data),
    )
    await execution.begin()
    return execution_id


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
    if row is None:
        return None
    definition = await definition_of(connection, organization_id, row.workflow_id)
    return LockedExecution(
        connection=connection,
        organization_id=organization_id,
        workflow_id=row.workflow_id,
        workflow_name=row.workflow_name,
        execution_id=row.id,
        log_id=row.log_id,
        input=row.input,
        definition=definition,
        manual_retry=wants_manual_retry(row.error_config),
        production=row.workflow_status == "production",
        start_time=row.start_time,
        now=row.now,
        status=row.status,
        machine=await _machine_of(connection, organization_id, row, definition),
    )


async def _machine_of(
    connection: Connection,
    organization_id: OrganizationId,
    row: LockedWorkflowExecutionRow,
    definition: Definition,
) -> Machine:
    """Return where an execution stands. For one that an earlier release has moved its newest step tells."""
    if row.machine is not None:
        return msgspec.convert(row.machine, Machine)
    newest = await transition_executions.lock_newest_step(
        connection, organization_id=organization_id, workflow_execution_id=row.id
    )
    if newest is None or newest.state is None:
        return failed_machine_at(row.state or definition.start_at, row.input)
    if newest.status == "running":
        return machine_at(newest.state, newest.input, attempt=newest.attempt)[0]
    data = newest.output or {} if newest.status == "succeeded" else newest.input
    return failed_machine_at(row.state or newest.state, data)


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
    await end_step(connection, organization_id, execution, row, result, by=by, cancel_job=by is not None)
    return True


async def end_step(
    connection: Connection,
    organization_id: OrganizationId,
    execution: LockedExecution | None,
    row: LockedTransitionExecutionRow,
    result: StepResult,
    *,
    by: PrincipalId | None,
    cancel_job: bool,
) -> None:
    """End a locked step, and let the locked execution that it is a step of go on, if it is one."""
    production = execution is not None and execution.production
    await end_execution(
        connection, organization_id, row, result, by=by, production=production, cancel_job=cancel_job
    )
    if execution is not None and row.state is not None and execution.status == "running":
        if result.status == "rejected":
            await execution.end("rejected")
        else:
            await execution.go_on_or_fail(_event_of(execution.key_of(row), result))


def _event_of(key: str, result: StepResult) -> Event:
    match result.status:
        case "succeeded":
            return TaskSucceeded(key, result.output or {})
        case "failed" | "retry" | "rejected":
            return TaskFailed(key, result.error, result.message or "", retry=result.status == "retry")
        case other:
            assert_never(other)


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
    await end_open_steps(
        connection,
        organization_id,
        execution_id,
        "The workflow's execution was deleted",
        by=by,
        production=row.workflow_status == "production",
    )
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
        return
    await execution.write_line(f"Goes on with {transition_id}, requested by {by}")
    execution.status = "running"
    await execution.go_on(Jump(state))


async def retry(execution: LockedExecution, *, by: str) -> None:
    """Let an execution that has failed, or waits after a failure, go on in the state that has failed.

    Raises BadRequest and LimitExceeded.
    """
    if execution.status not in ("failed", "error", "retry"):
        raise BadRequest(f"only a failed execution is tried again: its status is {execution.status}")
    state = execution.machine.state
    await execution.add_event("Retried", state=state, by=by)
    await execution.write_line(f"Goes on with state {state}, requested by {by}")
    await execution.reopen()


async def cancel(execution: LockedExecution, *, by: str) -> None:
    """End an execution that runs or waits as failed. Raises BadRequest when it has ended."""
    if execution.status not in ("running", "retry"):
        raise BadRequest(f"the execution has ended: its status is {execution.status}")
    await execution.give_up(by=by)
