"""Executions of workflows: each moves on in the transaction that ends the step before."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, assert_never

import asyncpg

from db import transition_executions as step_statements
from db import workflow_executions as statements
from db.mail import MAIL_FAILED_EXECUTION
from db.statements import Connection
from pagemill.errors import BadRequest, LimitExceeded
from pagemill.ids import OrganizationId, WorkflowExecutionId, WorkflowId, new_id
from pagemill.notices.events import tell
from pagemill.usage.counting import count_freely, count_workflow_execution
from pagemill.workflows.definition import COMMONS_FAILED, Definition, read_definition, task_of_transition
from pagemill.workflows.interpreter import Failed, RunTask, Step, Succeeded, advance, begin
from pagemill.workflows.logs import open_log, write_line
from pagemill.workflows.retries import TASK_FAILED, retry_delay
from pagemill.workflows.steps import Outcome, StepOf, begin_execution, end_execution, lock_running

LIMIT_EXCEEDED = "Pagemill.LimitExceeded"


@dataclass(frozen=True, slots=True)
class Run:
    """An execution whose row this transaction holds."""

    connection: Connection
    organization_id: str
    workflow_id: str
    execution_id: str
    log_id: str | None
    input: dict[str, Any]
    definition: Definition
    manual_retry: bool
    production: bool
    start_time: datetime.datetime
    status: str = "running"
    state: str | None = None

    async def go_on(self, step: Step) -> None:
        """Begin the task, or end. Raises LimitExceeded when the plan allows no further task."""
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
        """Begin an execution of the task's transition. Raises LimitExceeded."""
        place = StepOf(
            workflow_id=self.workflow_id,
            workflow_execution_id=self.execution_id,
            state=step.state,
            attempt=attempt,
            delay=delay,
            timeout_in_seconds=step.task.timeout_seconds,
        )
        row = await begin_execution(
            self.connection, self.organization_id, step.task.resource, step.input, place
        )
        await statements.ENTER_STATE.execute(
            self.connection, self.organization_id, self.execution_id, step.state
        )
        again = f", attempt {attempt}" if attempt > 1 else ""
        await self.say(f"State {step.state}{again}: {row['id']} of {step.task.resource}")

    async def fail(self, failure: Failed) -> None:
        """End as failed; or wait for somebody to say how it goes on, where the workflow wants that."""
        await self.note("ExecutionFailed", state=failure.state, error=failure.error, cause=failure.cause)
        await self.say(f"State {failure.state}: {failure.error}: {failure.cause}")
        waits = self.manual_retry and not failure.deliberate
        arguments = (self.workflow_id, self.execution_id, failure.error, failure.cause, waits)
        await MAIL_FAILED_EXECUTION.fetch_value(self.connection, self.organization_id, *arguments)
        if waits:
            await statements.AWAIT_RETRY.execute(self.connection, self.organization_id, self.execution_id)
            await self.say("Waits for nextTransitionId")
            await self.tell("retry")
        else:
            await self.end("failed")

    async def end(self, status: str, output: dict[str, Any] | None = None) -> None:
        """The last thing that happens to an execution, but for being completed."""
        ended: datetime.datetime = await statements.END_EXECUTION.fetch_value(
            self.connection, self.organization_id, self.execution_id, status, output
        )
        await self.say(f"Execution {self.execution_id}: {status}")
        await self.tell(status)
        if self.production:
            minutes = max((ended - self.start_time).total_seconds(), 0.0) / 60
            organization_id = OrganizationId(self.organization_id)
            await count_freely(self.connection, organization_id, "production-workflow-minutes", minutes)

    async def say(self, line: str) -> None:
        await write_line(self.connection, self.organization_id, self.log_id, line)

    async def tell(self, status: str) -> None:
        """Whoever wants to hear what became of executions."""
        ids = {"executionId": self.execution_id, "workflowId": self.workflow_id}
        await tell(self.connection, self.organization_id, "workflowExecution", status, **ids)

    async def note(self, kind: str, **members: str) -> None:
        """Add to the events that the API shows."""
        event = {"type": kind, "timestamp": datetime.datetime.now(datetime.UTC).isoformat(), **members}
        await statements.ADD_EVENT.execute(self.connection, self.organization_id, self.execution_id, event)


async def start_execution(
    connection: Connection,
    organization_id: str,
    workflow_id: str,
    workflow: asyncpg.Record,
    data: dict[str, Any],
    *,
    by: str | None,
    development_allowance: int,
) -> str:
    """Start a workflow whose row is held and return the execution's id. Raises LimitExceeded."""
    production = workflow["status"] == "production"
    await count_workflow_execution(
        connection,
        OrganizationId(organization_id),
        WorkflowId(workflow_id),
        allowed=None if production else development_allowance,
    )
    execution_id = new_id(WorkflowExecutionId)
    log_id = await open_log(
        connection,
        organization_id,
        f"Execution {execution_id} of workflow {workflow_id} has started",
        workflow_id=workflow_id,
        workflow_execution_id=execution_id,
    )
    start_time = await statements.INSERT_EXECUTION.fetch_value(
        connection, organization_id, execution_id, workflow_id, data, log_id, by
    )
    run = Run(
        connection=connection,
        organization_id=organization_id,
        workflow_id=workflow_id,
        execution_id=execution_id,
        log_id=log_id,
        input=data,
        definition=read_definition(workflow["definition"]),
        manual_retry=manual_retry(workflow["error_config"]),
        production=production,
        start_time=start_time,
    )
    await run.go_on(begin(run.definition, data))
    return execution_id


def manual_retry(error_config: dict[str, Any] | None) -> bool:
    """Whether a failed execution waits for somebody to say how it goes on."""
    return bool((error_config or {}).get("manualRetry"))


async def lock_run(connection: Connection, organization_id: str, execution_id: str) -> Run | None:
    """Hold an execution's row; None when there is none (any more)."""
    row = await statements.LOCK_EXECUTION.fetch_one(connection, organization_id, execution_id)
    if row is None:
        return None
    return Run(
        connection=connection,
        organization_id=organization_id,
        workflow_id=row["workflow_id"],
        execution_id=row["id"],
        log_id=row["log_id"],
        input=row["input"],
        definition=read_definition(row["definition"]),
        manual_retry=manual_retry(row["error_config"]),
        production=row["workflow_status"] == "production",
        start_time=row["start_time"],
        status=row["status"],
        state=row["state"],
    )


async def finish_step(
    connection: Connection,
    organization_id: str,
    transition_id: str,
    execution_id: str,
    outcome: Outcome,
    *,
    by: str | None,
) -> bool:
    """End a transition's execution and move its workflow's on; of several who try, one does.

    Returns whether there is such an execution. Raises BadRequest when it has ended or timed out.
    """
    found = await step_statements.WORKFLOW_EXECUTION_OF.fetch_one(
        connection, organization_id, transition_id, execution_id
    )
    if found is None:
        return False
    run = None
    if found["workflow_execution_id"] is not None:
        run = await lock_run(connection, organization_id, found["workflow_execution_id"])
    row = await lock_running(connection, organization_id, execution_id)
    if row is None:
        return False
    await end_execution(connection, organization_id, row, outcome, by)
    if run is not None and run.status == "running":
        await _move_on(run, row, outcome)
    return True


async def _move_on(run: Run, row: asyncpg.Record, outcome: Outcome) -> None:
    state: str = row["state"]
    try:
        match outcome.status:
            case "succeeded":
                await run.go_on(advance(run.definition, state, outcome.output or {}))
            case "rejected":
                await run.end("rejected")
            case "failed" | "retry":
                await _try_again(run, row, outcome)
            case other:
                assert_never(other)
    except LimitExceeded as error:
        # What the step did is done: its outcome is kept, and the execution ends here.
        await run.fail(Failed(state, LIMIT_EXCEEDED, error.detail or error.message))


async def _try_again(run: Run, row: asyncpg.Record, outcome: Outcome) -> None:
    """The same task once more, when its Retry allows that after so many attempts."""
    state, attempt = row["state"], row["attempt"]
    task = run.definition.task(state)
    delay = retry_delay(task.retry, None if outcome.status == "retry" else outcome.error, attempt)
    if delay is None:
        await run.fail(Failed(state, outcome.error, outcome.message or ""))
    else:
        await run.run_task(RunTask(state, task, row["input"]), attempt=attempt + 1, delay=delay)


async def jump(run: Run, transition_id: str, *, by: str) -> None:
    """Go on with another transition, with the data that the execution has come to.

    Raises BadRequest and LimitExceeded.
    """
    if run.status not in ("running", "retry"):
        raise BadRequest(f"nextTransitionId: the execution has ended: it is {run.status}")
    state = task_of_transition(run.definition, transition_id, run.state)
    if state is None and transition_id != COMMONS_FAILED:
        raise BadRequest(f"nextTransitionId: no state of the workflow runs transition {transition_id}")
    last = await step_statements.LOCK_NEWEST_STEP.fetch_one(
        run.connection, run.organization_id, run.execution_id
    )
    if last is not None and last["status"] == "running":
        left = Outcome("failed", message=f"The workflow's execution went on with {transition_id}")
        await end_execution(run.connection, run.organization_id, last, left, by)
    await run.note("NextTransition", transitionId=transition_id, by=by)
    if transition_id == COMMONS_FAILED or state is None:
        await run.fail(Failed(run.state or "", TASK_FAILED, f"Ended by {by}", deliberate=True))
        return
    await run.say(f"Goes on with {transition_id}, says {by}")
    data = run.input
    if last is not None:
        data = last["output"] or {} if last["status"] == "succeeded" else last["input"]
    await run.run_task(RunTask(state, run.definition.task(state), data))
