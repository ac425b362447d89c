"""Executions of transitions: begin and end them in the caller's transaction."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from db import transition_executions as statements
from db.statements import Connection
from db.transition_executions import LockedTransitionExecutionRow, TransitionExecutionRow
from db.transitions import TransitionToExecuteRow, TransitionType, keep_transition
from db.workflow_progress import EndedStep, NewStep
from db.workflow_timers import (
    delete_timers_of_execution,
    delete_timers_of_step,
    delete_timers_of_steps,
    start_timer,
    start_timer_of_step,
)
from pagemill.errors import BadRequest
from pagemill.ids import (
    OrganizationId,
    PrincipalId,
    SubjectId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
    new_id,
)
from pagemill.usage.counting import count_freely
from pagemill.usage.meters import Meter
from pagemill.workflows.changes import Changes
from pagemill.workflows.commons import TIMEOUT_IN_SECONDS, is_commons
from pagemill.workflows.failures import TASK_FAILED
from pagemill.workflows.step_jobs import cancel_steps, job_of_step, queue_step

EndStatus: TypeAlias = Literal["succeeded", "failed", "rejected", "retry"]

LONGEST_CLAIM = datetime.timedelta(hours=24)
CANCEL_AGAIN_SECONDS = 1.0


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
    """Position of a transition's execution in that of a workflow, if any; times are in seconds."""

    workflow_id: WorkflowId | None = None
    workflow_execution_id: WorkflowExecutionId | None = None
    state: str | None = None
    key: str | None = None
    attempt: int = 1
    delay: float = 0.0
    timeout_in_seconds: int | None = None
    heartbeat_seconds: int | None = None


WITHOUT_WORKFLOW = WorkflowStep()


class Transitions:
    """The transitions of a transaction's tasks, each read once; they are kept until it ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[tuple[OrganizationId, TransitionId], TransitionToExecuteRow | None] = {}

    async def get(
        self, organization_id: OrganizationId, transition_id: TransitionId
    ) -> TransitionToExecuteRow | None:
        """Return the transition of a task; None when the organization has none of this id."""
        if is_commons(transition_id):
            return TransitionToExecuteRow(transition_id, "lambda", TIMEOUT_IN_SECONDS, None)
        key = (organization_id, transition_id)
        if key not in self._kept:
            self._kept[key] = await keep_transition(
                self._connection, organization_id=organization_id, transition_id=transition_id
            )
        return self._kept[key]


async def begin_execution(
    connection: Connection,
    organization_id: OrganizationId,
    transition: TransitionToExecuteRow,
    data: dict[str, Any],
) -> TransitionExecutionRow | None:
    """Count and add an execution, without a workflow, of a transition that the transaction keeps.

    Raises TransitionIncomplete and LimitExceeded.
    """
    changes = Changes(connection, organization_id)
    execution_id = add_step(changes, transition, data)
    await changes.write()
    return await statements.get_transition_execution(
        connection, organization_id=organization_id, transition_id=transition.id, execution_id=execution_id
    )


def add_step(
    changes: Changes,
    transition: TransitionToExecuteRow,
    data: dict[str, Any],
    step: WorkflowStep = WITHOUT_WORKFLOW,
) -> TransitionExecutionId:
    """Add an execution of a transition that the transaction keeps, alone or as a step; return its id.

    What a person does not do is begun with it, or by a timer after a delay. Raises TransitionIncomplete.
    """
    if transition.missing_parameter is not None:
        raise TransitionIncomplete(
            f"Transition {transition.id} cannot be executed before parameters.{transition.missing_parameter} "
            "is set"
        )
    execution_id = new_id(TransitionExecutionId)
    log_id = changes.open_log(
        f"Execution {execution_id} of transition {transition.id} has been created",
        workflow_id=step.workflow_id,
        workflow_execution_id=step.workflow_execution_id,
        transition_id=transition.id,
        transition_execution_id=execution_id,
    )
    changes.add_step(
        NewStep(
            organization_id=changes.organization_id,
            id=execution_id,
            transition_id=transition.id,
            transition_type=transition.transition_type,
            workflow_execution_id=step.workflow_execution_id,
            state=step.state,
            key=step.key,
            attempt=step.attempt,
            input=data,
            log_id=log_id,
            is_due=transition.transition_type != "manual",
            delay=step.delay,
            timeout_in_seconds=step.timeout_in_seconds or transition.timeout_in_seconds,
            heartbeat_seconds=step.heartbeat_seconds,
            job=job_of_step(transition.transition_type, execution_id),
        )
    )
    return execution_id


async def run_step(
    connection: Connection,
    organization_id: OrganizationId,
    execution_id: TransitionExecutionId,
    transition_type: TransitionType,
) -> None:
    """Queue the job of a step that is due, and start its timer."""
    await queue_step(connection, organization_id, transition_type, execution_id)
    await start_timer_of_step(connection, organization_id=organization_id, execution_id=execution_id)


async def watch_step(
    connection: Connection, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> None:
    """Start the timer of a step that was claimed or goes on, in place of the one that it has."""
    await delete_timers_of_step(connection, organization_id=organization_id, execution_id=execution_id)
    await start_timer_of_step(connection, organization_id=organization_id, execution_id=execution_id)


async def lock_running(
    connection: Connection,
    organization_id: OrganizationId,
    execution_id: TransitionExecutionId,
    *,
    by: PrincipalId | None,
) -> LockedTransitionExecutionRow | None:
    """Lock and return an execution; None when there is none.

    ``by`` is who wants to change it, None for the platform. Raises BadRequest when it has ended or timed out,
    and when somebody else holds a claim on it.
    """
    row = await statements.lock_transition_execution(
        connection, organization_id=organization_id, execution_id=execution_id
    )
    if row is not None and row.timed_out and row.status == "running":
        raise BadRequest(f"Transition execution {execution_id} has timed out")
    if row is not None and row.status != "running":
        raise BadRequest(f"Transition execution {execution_id} has ended: its status is {row.status}")
    if row is not None and by is not None:
        check_holder(row, by)
    return row


def check_holder(row: LockedTransitionExecutionRow, by: PrincipalId) -> None:
    """Refuse who has lost or given back a claim, and anybody while somebody else holds one.

    An execution that nobody has claimed can be ended by anybody. Raises BadRequest.
    """
    if row.claimed_by == by:
        return
    if row.claimed_by is not None and not row.claim_lapsed:
        raise BadRequest(f"Transition execution {row.id} is claimed by {row.claimed_by}")
    if by in row.former_holders:
        raise BadRequest(f"Transition execution {row.id} is not claimed by {by} any more")


async def end_execution(
    changes: Changes,
    row: LockedTransitionExecutionRow,
    result: StepResult,
    *,
    by: PrincipalId | None,
    production: bool,
    cancel_job: bool = True,
) -> None:
    """End a locked execution with its result, and count the time that it ran and that a user spent on it.

    Its timer is stopped and its job cancelled; ``cancel_job`` is false for the worker that ends its own.
    ``production`` says whether it is a step of a workflow in production.
    """
    changes.ended_steps.append(
        EndedStep(
            organization_id=changes.organization_id,
            id=row.id,
            status=result.status,
            output=result.output,
            error=None if result.message is None else {"error": result.error, "message": result.message},
            completed_by=by,
        )
    )
    line = f"Ended by {by}: {result.status}" if by else f"Ended: {result.status}"
    if result.message:
        line = f"{line}: {result.message}"
    changes.write_line(row.log_id, line)
    if cancel_job and await cancel_steps(changes.connection, changes.organization_id, [row.id]):
        changes.start_timer(SubjectId(row.id), {}, seconds=CANCEL_AGAIN_SECONDS)
    # The time of a claim that has lapsed ended with its last heartbeat, unless its holder comes back.
    left = row.heartbeat_time if row.claim_lapsed and by != row.claimed_by else None
    until = min(left or row.now, row.expires or row.now)
    if row.claimed_by is not None and row.claimed_time is not None:
        for meter, minutes in _used_by_claim(row.claimed_by, row.claimed_time, until, production=production):
            changes.count_freely(meter, minutes)
    elif production and row.running_since is not None and until > row.running_since:
        changes.count_freely("production-workflow-minutes", _minutes(row.running_since, until))


async def count_claim(
    connection: Connection,
    organization_id: OrganizationId,
    claimed_by: PrincipalId,
    claimed_time: datetime.datetime,
    ended_time: datetime.datetime,
    *,
    production: bool,
) -> None:
    """Count the time of a claim: a user's, and that of a step of a workflow in production.

    Clients can report any startTime; the time of the claim is the server's own.
    """
    for meter, minutes in _used_by_claim(claimed_by, claimed_time, ended_time, production=production):
        await count_freely(connection, organization_id, meter, minutes)


def _used_by_claim(
    claimed_by: PrincipalId,
    claimed_time: datetime.datetime,
    ended_time: datetime.datetime,
    *,
    production: bool,
) -> Iterator[tuple[Meter, float]]:
    if claimed_by.startswith("las:user:"):
        latest = min(ended_time, claimed_time + LONGEST_CLAIM)
        if latest > claimed_time:
            yield "user-minutes", _minutes(claimed_time, latest)
    if production and ended_time > claimed_time:
        yield "production-workflow-minutes", _minutes(claimed_time, ended_time)


def _minutes(since: datetime.datetime, until: datetime.datetime) -> float:
    return (until - since).total_seconds() / 60


async def cancel_job_of_step(
    connection: Connection, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> None:
    """Cancel the job of a step that has ended; a timer does it again where the job could not be had."""
    await _cancel_jobs(connection, organization_id, [execution_id])


async def _cancel_jobs(
    connection: Connection, organization_id: OrganizationId, execution_ids: Sequence[TransitionExecutionId]
) -> None:
    for execution_id in await cancel_steps(connection, organization_id, execution_ids):
        await start_timer(
            connection,
            organization_id=organization_id,
            subject_id=SubjectId(execution_id),
            payload={},
            seconds=CANCEL_AGAIN_SECONDS,
            until=None,
        )


async def end_open_steps(
    changes: Changes,
    execution_id: WorkflowExecutionId,
    reason: str,
    *,
    by: PrincipalId | None,
    production: bool,
    key: str | None = None,
) -> None:
    """End the running steps of a workflow's locked execution, and stop its timers; with a key only those.

    All changes of the execution have to be written.
    """
    connection, organization_id = changes.connection, changes.organization_id
    rows = await statements.lock_running_steps(
        connection, organization_id=organization_id, workflow_execution_id=execution_id, key=key
    )
    for row in rows:
        result = StepResult("failed", message=reason)
        await end_execution(changes, row, result, by=by, production=production)
    await delete_timers_of_execution(
        connection, organization_id=organization_id, execution_id=execution_id, key=key
    )


async def stop_executions(
    connection: Connection, organization_id: OrganizationId, transition_id: TransitionId
) -> None:
    """Stop the running executions of a transition that no workflow uses, before they are deleted with it."""
    running = await statements.lock_running_executions(
        connection, organization_id=organization_id, transition_id=transition_id
    )
    await delete_timers_of_steps(connection, organization_id=organization_id, execution_ids=running)
    await _cancel_jobs(connection, organization_id, running)
