"""The operator's view of executions of workflows: list them, and tell one from its beginning."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from db import execution_reports as statements
from db.execution_reports import ExecutionReportRow, StepReportRow
from db.statements import Connection
from db.transition_executions import TransitionExecutionStatus
from db.transitions import TransitionType
from db.workflow_executions import WorkflowExecutionStatus
from pagemill.errors import NotFound
from pagemill.ids import (
    OrganizationId,
    PrincipalId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
)
from pagemill.workflows.claims import EndedClaim

LAST_LINES = 20


class ExecutionReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An execution of a workflow. ``state`` is the one that it is in, or in which it has ended."""

    id: WorkflowExecutionId
    organization_id: OrganizationId
    workflow_id: WorkflowId
    workflow_name: str | None
    status: WorkflowExecutionStatus
    state: str | None
    start_time: datetime.datetime
    end_time: datetime.datetime | None
    error: str | None


class StepReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A step: an execution of a transition. Its time is one of waiting and one of work, in seconds."""

    id: TransitionExecutionId
    transition_id: TransitionId
    transition_name: str | None
    transition_type: TransitionType
    state: str | None
    attempt: int
    status: TransitionExecutionStatus
    error: str | None
    created_time: datetime.datetime
    start_time: datetime.datetime | None
    end_time: datetime.datetime | None
    waiting_seconds: float
    working_seconds: float
    claimed_by: PrincipalId | None
    claimed_time: datetime.datetime | None
    former_claims: list[EndedClaim]
    deferred_until: datetime.datetime | None
    completed_by: PrincipalId | None


class LogLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of the log of the execution, or of a step."""

    time: datetime.datetime
    transition_execution_id: TransitionExecutionId | None
    message: str


class ExecutionStory(ExecutionReport, frozen=True, kw_only=True, rename="camel"):
    """An execution with its steps, its events, and the last lines of all its logs."""

    created_by: PrincipalId | None
    steps: list[StepReport]
    events: list[dict[str, Any]]
    last_lines: list[LogLine]


class Moment(NamedTuple):
    """A line of a timeline."""

    time: datetime.datetime
    text: str


async def list_executions(
    connection: Connection,
    *,
    organization_id: OrganizationId | None = None,
    workflow_id: WorkflowId | None = None,
    statuses: Sequence[WorkflowExecutionStatus] = (),
    since: datetime.datetime | None = None,
    limit: int = 50,
) -> list[ExecutionReport]:
    """List executions, the newest first; ``since`` is about their start."""
    rows = await statements.list_executions(
        connection,
        organization_id=organization_id,
        workflow_id=workflow_id,
        statuses=list(statuses) or None,
        since=since,
        limit=limit,
    )
    return [ExecutionReport(**_members(row)) for row in rows]


async def find_execution(connection: Connection, execution_id: WorkflowExecutionId) -> ExecutionStory:
    """Return an execution with all that is known of it. Raises NotFound."""
    row = await statements.find_execution(connection, execution_id=execution_id)
    if row is None:
        raise NotFound(f"there is no execution {execution_id} of a workflow")
    steps = await statements.list_steps(
        connection, organization_id=row.organization_id, workflow_execution_id=execution_id
    )
    lines = await statements.list_last_lines(
        connection,
        organization_id=row.organization_id,
        workflow_execution_id=execution_id,
        limit=LAST_LINES,
    )
    return ExecutionStory(
        **_members(row),
        created_by=row.created_by,
        steps=[step_report(step, row.now) for step in steps],
        events=row.events,
        last_lines=[LogLine(**msgspec.structs.asdict(line)) for line in lines],
    )


def _members(row: ExecutionReportRow) -> dict[str, Any]:
    members = {name: getattr(row, name) for name in ExecutionReportRow.__struct_fields__}
    failure = members.pop("failure") or {}
    named = (failure.get("error"), failure.get("cause"))
    return {**members, "error": ": ".join(one for one in named if one) or None}


def step_report(row: StepReportRow, now: datetime.datetime) -> StepReport:
    """Return the report on a step; one that has not ended has lasted until ``now``."""
    claims = msgspec.convert(row.former_claims, list[EndedClaim])
    until = row.end_time or now
    worked = sum((one.ended_time - one.claimed_time for one in claims), datetime.timedelta())
    begun = row.claimed_time if row.transition_type == "manual" else row.start_time
    if begun is not None:
        worked += max(until - max(begun, row.created_time), datetime.timedelta())
    members = msgspec.structs.asdict(row)
    return StepReport(
        **{
            **members,
            "error": (row.error or {}).get("message"),
            "former_claims": claims,
            "waiting_seconds": max((until - row.created_time - worked).total_seconds(), 0.0),
            "working_seconds": worked.total_seconds(),
        }
    )


def timeline(story: ExecutionStory) -> list[Moment]:
    """Return what has happened in an execution, in its order."""
    moments = [Moment(story.start_time, f"started by {story.created_by or 'nobody'}")]
    for step in story.steps:
        moments += _moments_of(step)
    for event in story.events:
        told = {**event}
        time = datetime.datetime.fromisoformat(told.pop("timestamp"))
        kind = told.pop("type")
        moments.append(Moment(time, f"{kind}: {', '.join(str(value) for value in told.values())}"))
    if story.end_time is not None:
        moments.append(Moment(story.end_time, f"ended: {story.status}"))
    return sorted(moments, key=lambda moment: moment.time)


def _moments_of(step: StepReport) -> Iterator[Moment]:
    name = step.state or step.transition_name or step.transition_id
    again = f", attempt {step.attempt}" if step.attempt > 1 else ""
    yield Moment(step.created_time, f"{name}{again}: {step.id} ({step.transition_type})")
    for one in step.former_claims:
        yield Moment(one.claimed_time, f"{name}: claimed by {one.claimed_by}")
        reason = f": {one.reason}" if one.reason else ""
        yield Moment(one.ended_time, f"{name}: claim of {one.claimed_by} {one.ending}{reason}")
    if step.claimed_time is not None:
        yield Moment(step.claimed_time, f"{name}: claimed by {step.claimed_by}")
    if step.end_time is not None:
        by = f" by {step.completed_by}" if step.completed_by else ""
        error = f": {step.error}" if step.error else ""
        spent = f"{step.waiting_seconds:.0f} s of waiting, {step.working_seconds:.0f} s of work"
        yield Moment(step.end_time, f"{name}: {step.status}{by} after {spent}{error}")
