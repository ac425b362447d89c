"""Executions of transitions: begun, and ended once, in the caller's transaction."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import asyncpg

from db import transition_executions as statements
from db.statements import Connection
from pagemill.errors import BadRequest
from pagemill.ids import OrganizationId, TransitionExecutionId, new_id
from pagemill.usage.counting import count, count_freely
from pagemill.workflows.logs import open_log, write_line
from pagemill.workflows.retries import TASK_FAILED

EndStatus: TypeAlias = Literal["succeeded", "failed", "rejected", "retry"]

LONGEST_CLAIM = datetime.timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended; ``retry`` asks for the same step again. ``error`` is what a task's Retry goes by."""

    status: EndStatus
    output: dict[str, Any] | None = None
    message: str | None = None
    error: str = TASK_FAILED


@dataclass(frozen=True, slots=True)
class StepOf:
    """Of which execution of which workflow a step is, and its state there."""

    workflow_id: str
    workflow_execution_id: str
    state: str
    attempt: int = 1
    delay: float = 0.0
    timeout_in_seconds: int | None = None


async def begin_execution(
    connection: Connection,
    organization_id: str,
    transition_id: str,
    data: dict[str, Any],
    step: StepOf | None = None,
) -> asyncpg.Record:
    """A new execution of a transition, alone or as a step, counted. Raises LimitExceeded."""
    await count(connection, OrganizationId(organization_id), "transition-executions")
    execution_id = new_id(TransitionExecutionId)
    log_id = await open_log(
        connection,
        organization_id,
        f"Execution {execution_id} of transition {transition_id} has been created",
        workflow_id=step.workflow_id if step else None,
        workflow_execution_id=step.workflow_execution_id if step else None,
        transition_id=transition_id,
        transition_execution_id=execution_id,
    )
    row = await statements.INSERT_EXECUTION.fetch_one(
        connection,
        organization_id,
        execution_id,
        transition_id,
        step.workflow_execution_id if step else None,
        step.state if step else None,
        step.attempt if step else 1,
        data,
        log_id,
        step.delay if step else 0.0,
        step.timeout_in_seconds if step else None,
    )
    assert row is not None, "a transition in use is not deleted"
    return row


async def lock_running(
    connection: Connection, organization_id: str, execution_id: str
) -> asyncpg.Record | None:
    """The row of an execution that goes on; None when there is none. Raises BadRequest when it is over."""
    row = await statements.LOCK_EXECUTION.fetch_one(connection, organization_id, execution_id)
    if row is not None and row["timed_out"] and row["status"] == "running":
        raise BadRequest(f"Transition execution {execution_id} has timed out")
    if row is not None and row["status"] != "running":
        raise BadRequest(f"Transition execution {execution_id} has ended: it is {row['status']}")
    return row


async def end_execution(
    connection: Connection, organization_id: str, row: asyncpg.Record, outcome: Outcome, by: str | None
) -> None:
    """Write the outcome of an execution whose row is held, and what a user spent on it."""
    error = None if outcome.message is None else {"message": outcome.message}
    ended: datetime.datetime = await statements.END_EXECUTION.fetch_value(
        connection, organization_id, row["id"], outcome.status, outcome.output, error, by
    )
    line = f"Ended by {by}: {outcome.status}" if by else f"Ended: {outcome.status}"
    if outcome.message:
        line = f"{line}: {outcome.message}"
    await write_line(connection, organization_id, row["log_id"], line)
    if (row["claimed_by"] or "").startswith("las:user:"):
        # Not since startTime: that is whatever a client says.
        spent = min(ended - row["claimed_time"], LONGEST_CLAIM)
        minutes = spent.total_seconds() / 60
        await count_freely(connection, OrganizationId(organization_id), "user-minutes", minutes)
