"""Executions of workflows: each goes on in the transaction that ends its step before."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, assert_never

from db import transition_executions
from db import workflow_executions as statements
from db.mail import mail_failed_execution
from db.statements import Connection
from db.transition_executions import LockedTransitionExecutionRow
from db.workflow_executions import WorkflowExecutionStatus
from db.workflows import WorkflowToStartRow
from pagemill.errors import BadRequest, LimitExceeded
from pagemill.ids import (
    LogId,
    OrganizationId,
    PrincipalId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
    new_id,
)
from pagemill.notices.events import tell
from pagemill.usage.counting import count_freely, count_workflow_execution
from pagemill.workflows.completed_tasks import queue_completed_task
from pagemill.workflows.definition import COMMONS_FAILED, Definition, task_of_transition
from pagemill.workflows.definition_cache import compiled_definition
from pagemill.workflows.logs import open_log, write_line
from pagemill.workflows.retries import TASK_FAILED, retry_delay
from pagemill.workflows.stepping import RUNTIME, Failed, NextStep, RunTask, Succeeded, advance, begin
from pagemill.workflows.transition_executions import (
    StepResult,
    TransitionIncomplete,
    WorkflowStep,
    begin_execution,
    end_execution,
    lock_running,
    transition_to_execute,
)

LIMIT_EXCEEDED = "Pagemill.LimitExceeded"


@dataclass(frozen=True, slots=True)
class LockedExecution:
    """An execution whose row is locked by the connection's transaction."""

    connection: Connection
    organization_id: OrganizationId
    workflow_id: WorkflowId
    execution_id: WorkflowExecutionId
    log_id: LogId | None
    input: dict[str, Any]
    definition: Definition
    manual_retry: bool
    production: bool
    start_time: datetime.datetime
    status: WorkflowExecutionStatus = "running"
    state: str | None = None

    async def go_on(self, step: NextStep) -> None:
        """Begin the next task, or end. Raises LimitExceeded when the plan allows no further task."""
        match step:
            case RunTask():
                await self.run_task(step)
            case Succeeded(output=output):
                await self.end("succeeded", output)
            case Failed():
                await self.fail(step)
            case other:
                assert_never(other)

    async def run_task(self, step: RunTask, *, attempt: int = 1, delay: float = 0.0) -> None:
        """Begin an execution of the task's transition; fail when it cannot be executed.

        Raises LimitExceeded.
        """
        transition = await transition_to_execute(self.connection, self.organization_id, step.task.resource)
        assert transition is not None, "a transition that a workflow uses cannot be deleted"
        place = WorkflowStep(
            workflow_id=self.workflow_id,
            workflow_execution_id=self.execution_id,
            state=step.state,
            attempt=attempt,
            delay=delay,
            timeout_in_seconds=step.task.timeout_seconds,
        )
        try:
            row = await begin_execution(self.connection, self.organization_id, transition, step.input, place)
        except TransitionIncomplete as error:
            await self.enter(step.state)
            await self.fail(Failed(step.state, RUNTIME, error.message))
            return
        await self.enter(step.state)
        again = f", attempt {attempt}" if attempt > 1 else ""
        await self.write_line(f"State {step.state}{again}: {row.id} of {step.task.resource}")

    async def enter(self, state: str) -> None:
        """Set the state that the execution is in."""
        await statements.enter_state(
            self.connection,
            organization_id=self.organization_id,
            execution_id=self.execution_id,
            state=state,
        )

    async def fail(self, failure: Failed) -> None:
        """End as failed, or wait for a request with the next transition when the workflow asks for that."""
        await self.add_event("ExecutionFailed", state=failure.state, error=failure.error, cause=failure.cause)
        await self.write_line(f"State {failure.state}: {failure.error}: {failure.cause}")
        waits = self.manual_retry and not failure.deliberate
        await mail_failed_execution(
            self.connection,
            organization_id=self.organization_id,
            workflow_id=self.workflow_id,
            execution_id=self.execution_id,
            error=failure.error,
            cause=failure.cause,
            waits=waits,
        )
        if waits:
            await statements.await_retry(
                self.connection, organization_id=self.organization_id, execution_id=self.execution_id
            )
            await self.write_line("Waits for nextTransitionId")
            await self.tell("retry")
        else:
            await self.end("failed")

    async def end(self, status: WorkflowExecutionStatus, output: dict[str, Any] | None = None) -> None:
        """End the execution, tell webhooks, and count the minutes of a workflow in production."""
        end_time = await statements.end_workflow_execution(
            self.connection,
            organization_id=self.organization_id,
            execution_id=self.execution_id,
            status=status,
            output=output,
        )
        await self.write_line(f"Execution {self.execution_id}: {status}")
        await self.tell(status)
        await queue_completed_task(self.connection, self.organization_id, self.workflow_id, self.execution_id)
        if self.production:
            minutes = max((end_time - self.start_time).total_seconds(), 0.0) / 60
            await count_freely(self.connection, self.organization_id, "production-workflow-minutes", minutes)

    async def write_line(self, line: str) -> None:
        """Add a line to the execution's log."""
        await write_line(self.connection, self.organization_id, self.log_id, line)

    async def tell(self, status: WorkflowExecutionStatus) -> None:
        """Tell the webhooks that ask for events of executions."""
        ids = {"executionId": self.execution_id, "workflowId": self.workflow_id}
        await tell(self.connection, self.organization_id, "workflowExecution", status, **ids)

    async def add_event(self, kind: str, **members: str) -> None:
        """Add to the events that the API shows."""
        await statements.add_event(
            self.connection,
            organization_id=self.organization_id,
            execution_id=self.execution_id,
            event={"type": kind, "timestamp": datetime.datetime.now(datetime.UTC).isoformat(), **members},
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
    execution = LockedExecution(
        connection=connection,
        organization_id=organization_id,
        workflow_id=workflow_id,
        execution_id=execution_id,
        log_id=log_id,
        input=data,
        definition=compiled_definition(workflow.definition),
        manual_retry=wants_manual_retry(workflow.error_config),
        production=production,
        start_time=start_time,
    )
    await execution.go_on(begin(execution.definition, data))
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
    return LockedExecution(
        connection=connection,
        organization_id=organization_id,
        workflow_id=row.workflow_id,
        execution_id=row.id,
        log_id=row.log_id,
        input=row.input,
        definition=compiled_definition(row.definition),
        manual_retry=wants_manual_retry(row.error_config),
        production=row.workflow_status == "production",
        start_time=row.start_time,
        status=row.status,
        state=row.state,
    )


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
    row = await lock_running(connection, organization_id, execution_id)
    if row is None:
        return False
    await end_execution(connection, organization_id, row, result, by=by)
    if execution is not None and row.state is not None and execution.status == "running":
        await _move_on(execution, row.state, row, result)
    return True


async def _move_on(
    execution: LockedExecution, state: str, row: LockedTransitionExecutionRow, result: StepResult
) -> None:
    try:
        match result.status:
            case "succeeded":
                await execution.go_on(advance(execution.definition, state, result.output or {}))
            case "rejected":
                await execution.end("rejected")
            case "failed" | "retry":
                await _try_again(execution, state, row, result)
            case other:
                assert_never(other)
    except LimitExceeded as error:
        # The step has ended and its result is kept: only the workflow's execution fails.
        await execution.fail(Failed(state, LIMIT_EXCEEDED, error.detail or error.message))


async def _try_again(
    execution: LockedExecution, state: str, row: LockedTransitionExecutionRow, result: StepResult
) -> None:
    """Run the same task once more if its Retry allows that, else fail."""
    task = execution.definition.task(state)
    delay = retry_delay(task.retry, None if result.status == "retry" else result.error, row.attempt)
    if delay is None:
        await execution.fail(Failed(state, result.error, result.message or ""))
    else:
        await execution.run_task(RunTask(state, task, row.input), attempt=row.attempt + 1, delay=delay)


async def jump(execution: LockedExecution, transition_id: TransitionId, *, by: PrincipalId) -> None:
    """Go on with another transition, on the output of the newest step.

    Its input is taken instead when it has not succeeded. Raises BadRequest and LimitExceeded.
    """
    if execution.status not in ("running", "retry"):
        raise BadRequest(f"nextTransitionId: the execution has ended: its status is {execution.status}")
    state = task_of_transition(execution.definition, transition_id, execution.state)
    if state is None and transition_id != COMMONS_FAILED:
        raise BadRequest(f"nextTransitionId: no state of the workflow runs transition {transition_id}")
    newest = await transition_executions.lock_newest_step(
        execution.connection,
        organization_id=execution.organization_id,
        workflow_execution_id=execution.execution_id,
    )
    if newest is not None and newest.status == "running":
        result = StepResult("failed", message=f"The workflow's execution went on with {transition_id}")
        await end_execution(execution.connection, execution.organization_id, newest, result, by=by)
    await execution.add_event("NextTransition", transitionId=transition_id, by=by)
    if transition_id == COMMONS_FAILED or state is None:
        await execution.fail(Failed(execution.state or "", TASK_FAILED, f"Ended by {by}", deliberate=True))
        return
    await execution.write_line(f"Goes on with {transition_id}, requested by {by}")
    data = execution.input
    if newest is not None:
        data = newest.output or {} if newest.status == "succeeded" else newest.input
    await execution.run_task(RunTask(state, execution.definition.task(state), data))
