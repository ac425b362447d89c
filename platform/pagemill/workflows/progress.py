"""Progress of a workflow's execution: what is decided is carried out in the same transaction."""

from __future__ import annotations

import datetime
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import msgspec

from db import workflow_executions as statements
from db.mail import mail_failed_execution
from db.statements import Connection
from db.transition_executions import LockedTransitionExecutionRow
from db.workflow_executions import WorkflowExecutionStatus
from db.workflow_timers import start_timer
from pagemill.errors import LimitExceeded
from pagemill.ids import (
    LogId,
    OrganizationId,
    PrincipalId,
    SubjectId,
    WorkflowExecutionId,
    WorkflowId,
    slug_of,
)
from pagemill.notices.events import tell
from pagemill.workflows.adoption import machine_at
from pagemill.workflows.completed_tasks import queue_completed_task
from pagemill.workflows.definition import Definition
from pagemill.workflows.failures import RUNTIME, TASK_FAILED
from pagemill.workflows.interpreter import decide, start
from pagemill.workflows.logs import write_line
from pagemill.workflows.machine import (
    Action,
    CancelTask,
    Context,
    Decided,
    Event,
    Failed,
    Jump,
    Machine,
    RunTask,
    StartTimer,
    Succeeded,
    TaskFailed,
)
from pagemill.workflows.transition_executions import (
    TransitionIncomplete,
    WorkflowStep,
    begin_execution,
    end_open_steps,
    transition_to_execute,
)

LIMIT_EXCEEDED = "Pagemill.LimitExceeded"
KEY = "key"
"""Member of the payload of a timer that an execution waits for; its value is the machine's key."""


@dataclass(slots=True)
class LockedExecution:
    """An execution whose row is locked by the connection's transaction.

    ``machine`` says where it stands; ``now`` is the time of the transaction.
    """

    connection: Connection
    organization_id: OrganizationId
    workflow_id: WorkflowId
    workflow_name: str | None
    execution_id: WorkflowExecutionId
    log_id: LogId | None
    input: dict[str, Any]
    definition: Definition
    manual_retry: bool
    production: bool
    start_time: datetime.datetime
    now: datetime.datetime
    status: WorkflowExecutionStatus
    machine: Machine

    @property
    def context(self) -> Context:
        """Return the facts that the definition can read."""
        return Context(
            execution_id=self.execution_id,
            input=self.input,
            start_time=self.start_time,
            now=self.now,
            workflow_id=self.workflow_id,
            execution_name=slug_of(self.execution_id),
            workflow_name=self.workflow_name or "",
        )

    async def begin(self) -> None:
        """Enter the first state. Raises LimitExceeded."""
        await self._carry_out(start(self.definition, self.input, self.context))

    async def go_on(self, event: Event) -> None:
        """Do what follows from an event. Raises LimitExceeded when the plan allows no further task."""
        await self._carry_out(decide(self.definition, self.machine, event, self.context))

    async def go_on_or_fail(self, event: Event) -> None:
        """Do what follows from an event, and fail when the plan allows no further task.

        What has happened before is kept then: only the workflow's execution fails.
        """
        try:
            await self.go_on(event)
        except LimitExceeded as error:
            await self.fail(Failed(self.machine.state, LIMIT_EXCEEDED, error.detail or error.message))

    def key_of(self, step: LockedTransitionExecutionRow) -> str:
        """Return the key of one of its steps.

        An earlier release gives its steps none: the machine then stands at the state of the step.
        """
        if step.key is not None:
            return step.key
        assert step.state is not None, "a step of a workflow's execution has a state"
        self.machine, key = machine_at(step.state, step.input, attempt=step.attempt)
        return key

    async def _carry_out(self, decided: Decided) -> None:
        """Do what was decided, and what follows when a task cannot be begun."""
        events: deque[Event] = deque()
        while True:
            self.machine = decided.machine
            for action in decided.actions:
                failed = await self._do(action)
                if failed is not None:
                    events.append(failed)
            if not events:
                break
            decided = decide(self.definition, self.machine, events.popleft(), self.context)
        if self.status == "running":
            await self._keep("running")

    async def _do(self, action: Action) -> TaskFailed | None:
        match action:
            case RunTask():
                return await self._run_task(action)
            case StartTimer():
                await self._start_timer(action)
            case CancelTask(key=key):
                await self.end_open("Another branch of the execution has failed", key=key)
            case Succeeded(output=output):
                await self.end("succeeded", output)
            case Failed():
                await self.fail(action)
            case other:
                assert_never(other)
        return None

    async def _run_task(self, task: RunTask) -> TaskFailed | None:
        """Begin an execution of the task's transition; return the failure when it cannot be executed."""
        transition = await transition_to_execute(self.connection, self.organization_id, task.resource)
        if transition is None:
            return TaskFailed(task.key, RUNTIME, f"Transition {task.resource} does not exist any more")
        place = WorkflowStep(
            workflow_id=self.workflow_id,
            workflow_execution_id=self.execution_id,
            state=task.state,
            key=task.key,
            attempt=task.attempt,
            delay=task.delay_seconds,
            timeout_in_seconds=task.timeout_seconds,
            heartbeat_seconds=task.heartbeat_seconds,
        )
        try:
            row = await begin_execution(self.connection, self.organization_id, transition, task.input, place)
        except TransitionIncomplete as error:
            return TaskFailed(task.key, RUNTIME, error.message)
        again = f", attempt {task.attempt}" if task.attempt > 1 else ""
        await self.write_line(f"State {task.state}{again}: {row.id} of {task.resource}")
        return None

    async def _start_timer(self, timer: StartTimer) -> None:
        await start_timer(
            self.connection,
            organization_id=self.organization_id,
            subject_id=SubjectId(self.execution_id),
            payload={KEY: timer.key},
            seconds=timer.seconds,
            until=timer.until,
        )
        how_long = f"for {timer.seconds:g} s" if timer.until is None else f"until {timer.until.isoformat()}"
        await self.write_line(f"State {timer.state}: waits {how_long}")

    async def end_open(self, reason: str, *, by: PrincipalId | None = None, key: str | None = None) -> None:
        """End the steps that still run and stop the timers, or only the step or timer of a key."""
        await end_open_steps(
            self.connection,
            self.organization_id,
            self.execution_id,
            reason,
            by=by,
            production=self.production,
            key=key,
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
            state=failure.state,
            error=failure.error,
            cause=failure.cause,
            waits=waits,
        )
        if waits:
            await self.end_open(f"The workflow's execution has failed: {failure.error}")
            await self._keep("retry")
            await self.write_line("Waits for nextTransitionId")
            await self.tell("retry")
        else:
            await self.end("failed")

    async def give_up(self, *, by: str) -> None:
        """End as failed because a person says so. That is not mailed: somebody knows."""
        cause = f"Ended by {by}"
        await self.end_open(cause)
        await self.add_event("ExecutionFailed", state=self.machine.state, error=TASK_FAILED, cause=cause)
        await self.write_line(f"State {self.machine.state}: {TASK_FAILED}: {cause}")
        await self.end("failed")

    async def reopen(self) -> None:
        """Let an execution that has failed, or waits, go on in the state that it has come to.

        Raises LimitExceeded.
        """
        await statements.reopen_workflow_execution(
            self.connection, organization_id=self.organization_id, execution_id=self.execution_id
        )
        self.status = "running"
        await self.go_on(Jump(self.machine.state))

    async def end(self, status: WorkflowExecutionStatus, output: dict[str, Any] | None = None) -> None:
        """End the execution with all that is open of it, and tell webhooks."""
        await self.end_open(f"The workflow's execution has ended: {status}")
        self.status = status
        await statements.end_workflow_execution(
            self.connection,
            organization_id=self.organization_id,
            execution_id=self.execution_id,
            status=status,
            state=self.machine.state,
            output=output,
            machine=msgspec.to_builtins(self.machine) if status == "failed" else None,
        )
        await self.write_line(f"Execution {self.execution_id}: {status}")
        await self.tell(status)
        await queue_completed_task(self.connection, self.organization_id, self.workflow_id, self.execution_id)

    async def _keep(self, status: Literal["running", "retry"]) -> None:
        self.status = status
        await statements.move_workflow_execution(
            self.connection,
            organization_id=self.organization_id,
            execution_id=self.execution_id,
            machine=msgspec.to_builtins(self.machine),
            state=self.machine.state,
            status=status,
        )

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
