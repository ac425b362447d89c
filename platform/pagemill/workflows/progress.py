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
from db.workflow_progress import ExecutionChange, NewExecution
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
from pagemill.usage.counting import Wanted, wanted_workflow_execution
from pagemill.workflows.adoption import machine_at
from pagemill.workflows.changes import Changes, Mark
from pagemill.workflows.completed_tasks import queue_completed_task
from pagemill.workflows.definition import Definition
from pagemill.workflows.failures import RUNTIME, TASK_FAILED
from pagemill.workflows.interpreter import decide, start
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
    Transitions,
    WorkflowStep,
    add_step,
    end_open_steps,
)

LIMIT_EXCEEDED = "Pagemill.LimitExceeded"
KEY = "key"
"""Member of the payload of a timer that an execution waits for; its value is the machine's key."""


@dataclass(slots=True)
class LockedExecution:
    """An execution whose row is locked by the connection's transaction.

    ``machine`` says where it stands; ``now`` is the time of the transaction.
    """

    changes: Changes
    transitions: Transitions
    workflow_id: WorkflowId
    workflow_name: str | None
    execution_id: WorkflowExecutionId
    log_id: LogId | None
    input: dict[str, Any]
    definition: Definition
    manual_retry: bool
    production: bool
    has_completed_task: bool
    events_wanted: bool
    start_time: datetime.datetime
    now: datetime.datetime
    status: WorkflowExecutionStatus
    machine: Machine
    new: NewExecution | None = None
    """Set until a started execution is in the database."""
    open_keys: set[str] | None = None
    """Keys of its steps and timers; None where they are not known."""

    @property
    def connection(self) -> Connection:
        """Return the connection of the transaction."""
        return self.changes.connection

    @property
    def organization_id(self) -> OrganizationId:
        """Return the organization."""
        return self.changes.organization_id

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

    def wanted(self, development_allowance: int) -> list[Wanted]:
        """Return what a new execution counts for, beside its steps."""
        allowed = None if self.production else development_allowance
        return wanted_workflow_execution(self.organization_id, self.workflow_id, allowed=allowed)

    async def begin(self) -> None:
        """Enter the first state. Raises LimitExceeded."""
        await self._carry_out(start(self.definition, self.input, self.context))

    async def go_on(self, event: Event) -> None:
        """Do what follows from an event. May raise LimitExceeded, and ``write`` may."""
        if not isinstance(event, Jump):
            self.closed(event.key)
        await self._carry_out(decide(self.definition, self.machine, event, self.context))

    async def go_on_or_fail(self, event: Event) -> None:
        """Do what follows from an event, or fail when the plan allows no further task; write it."""
        mark = self.changes.mark()
        try:
            await self.go_on(event)
            await self.write()
        except LimitExceeded as error:
            await self.fail_at_limit(mark, error)
            await self.write()

    async def fail_at_limit(self, before: Mark, error: LimitExceeded) -> None:
        """Fail because the plan allows no further task. What happened before ``before`` is kept."""
        self.changes.take_back(before)
        self.open_keys = None
        await self.fail(Failed(self.machine.state, LIMIT_EXCEEDED, error.detail or error.message))

    async def write(self) -> None:
        """Write all changes. Raises LimitExceeded when the plan does not allow the new steps."""
        if self.new is not None and not self.changes.executions:
            self._keep("running")
        await self.changes.write()
        self.new = None

    def key_of(self, step: LockedTransitionExecutionRow) -> str:
        """Return the key of one of its steps.

        An earlier release gives its steps none: the machine then stands at the state of the step.
        """
        if step.key is not None:
            return step.key
        assert step.state is not None, "a step of a workflow's execution has a state"
        self.open_keys = None
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
            self._keep("running")

    async def _do(self, action: Action) -> TaskFailed | None:
        match action:
            case RunTask():
                return await self._run_task(action)
            case StartTimer():
                self._start_timer(action)
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
        transition = await self.transitions.get(self.organization_id, task.resource)
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
            step_id = add_step(self.changes, transition, task.input, place)
        except TransitionIncomplete as error:
            return TaskFailed(task.key, RUNTIME, error.message)
        self._opened(task.key)
        again = f", attempt {task.attempt}" if task.attempt > 1 else ""
        self.write_line(f"State {task.state}{again}: {step_id} of {task.resource}")
        return None

    def _start_timer(self, timer: StartTimer) -> None:
        self.changes.start_timer(
            SubjectId(self.execution_id), {KEY: timer.key}, seconds=timer.seconds, until=timer.until
        )
        self._opened(timer.key)
        how_long = f"for {timer.seconds:g} s" if timer.until is None else f"until {timer.until.isoformat()}"
        self.write_line(f"State {timer.state}: waits {how_long}")

    def _opened(self, key: str) -> None:
        if self.open_keys is not None:
            self.open_keys.add(key)

    def closed(self, key: str) -> None:
        """Note that the step or timer of a key has ended."""
        if self.open_keys is not None:
            self.open_keys.discard(key)

    async def end_open(self, reason: str, *, by: PrincipalId | None = None, key: str | None = None) -> None:
        """End the steps that still run and stop the timers, or only the step or timer of a key."""
        if self.open_keys is not None and not self.open_keys:
            return
        await self.write()
        await end_open_steps(
            self.changes,
            self.execution_id,
            reason,
            by=by,
            production=self.production,
            key=key,
        )
        if key is None:
            self.open_keys = set()
        else:
            self.closed(key)

    async def fail(self, failure: Failed) -> None:
        """End as failed, or wait for a request with the next transition when the workflow asks for that."""
        await self.add_event("ExecutionFailed", state=failure.state, error=failure.error, cause=failure.cause)
        self.write_line(f"State {failure.state}: {failure.error}: {failure.cause}")
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
            self._keep("retry")
            self.write_line("Waits for nextTransitionId")
            await self.tell("retry")
        else:
            await self.end("failed")

    async def give_up(self, *, by: str) -> None:
        """End as failed because a person says so. That is not mailed: somebody knows."""
        cause = f"Ended by {by}"
        await self.end_open(cause)
        await self.add_event("ExecutionFailed", state=self.machine.state, error=TASK_FAILED, cause=cause)
        self.write_line(f"State {self.machine.state}: {TASK_FAILED}: {cause}")
        await self.end("failed")

    async def reopen(self) -> None:
        """Let an execution that has failed, or waits, go on in the state that it has come to.

        Raises LimitExceeded.
        """
        await self.write()
        await statements.reopen_workflow_execution(
            self.connection, organization_id=self.organization_id, execution_id=self.execution_id
        )
        self.status = "running"
        await self.go_on(Jump(self.machine.state))

    async def end(self, status: WorkflowExecutionStatus, output: dict[str, Any] | None = None) -> None:
        """End the execution with all that is open of it, and tell webhooks."""
        await self.end_open(f"The workflow's execution has ended: {status}")
        self.status = status
        machine = msgspec.to_builtins(self.machine) if status == "failed" else None
        self._change(machine=machine, output=output, ended=True)
        self.write_line(f"Execution {self.execution_id}: {status}")
        await self.tell(status)
        if self.has_completed_task:
            await self.write()
            await queue_completed_task(
                self.connection, self.organization_id, self.workflow_id, self.execution_id
            )

    def _keep(self, status: Literal["running", "retry"]) -> None:
        self.status = status
        self._change(machine=msgspec.to_builtins(self.machine))

    def _change(self, *, machine: Any, output: dict[str, Any] | None = None, ended: bool = False) -> None:
        self.changes.executions.append(
            ExecutionChange(
                organization_id=self.organization_id,
                id=self.execution_id,
                status=self.status,
                state=self.machine.state,
                machine=machine,
                output=output,
                ended=ended,
                new=self.new,
            )
        )

    def write_line(self, line: str) -> None:
        """Add a line to the execution's log."""
        self.changes.write_line(self.log_id, line)

    async def tell(self, status: WorkflowExecutionStatus) -> None:
        """Tell the webhooks that ask for events of executions."""
        if not self.events_wanted:
            return
        ids = {"executionId": self.execution_id, "workflowId": self.workflow_id}
        await tell(self.connection, self.organization_id, "workflowExecution", status, **ids)

    async def add_event(self, kind: str, **members: str) -> None:
        """Add to the events that the API shows."""
        await self.write()
        await statements.add_event(
            self.connection,
            organization_id=self.organization_id,
            execution_id=self.execution_id,
            event={"type": kind, "timestamp": datetime.datetime.now(datetime.UTC).isoformat(), **members},
        )
