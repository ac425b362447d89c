"""REST resource ``/logs``: logs of executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import Controller, get
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from db import logs as statements
from db.keyset import Order
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import ResponseStruct, timestamp
from pagemill.errors import NotFound
from pagemill.ids import LogId, TransitionExecutionId, TransitionId, WorkflowExecutionId, WorkflowId

SHOWN_LINES = 10_000
"""Of a longer log the newest lines are shown."""

LogPath = Annotated[LogId, Parameter(description="las:log:<32 hexadecimal digits>")]


class LogEvent(ResponseStruct):
    """A line of a log; ``timestamp`` is in seconds since 1970."""

    timestamp: float
    message: str


class Log(ResponseStruct):
    """The log of an execution; lists leave out its lines."""

    log_id: LogId
    start_time: str | None
    workflow_id: WorkflowId | None
    workflow_execution_id: WorkflowExecutionId | None
    transition_id: TransitionId | None
    transition_execution_id: TransitionExecutionId | None
    events: list[LogEvent] | UnsetType = UNSET


class Logs(ResponseStruct):
    """A page of logs, with the filters that were sent."""

    logs: list[Log]
    next_token: str | None
    workflow_id: WorkflowId | UnsetType = UNSET
    workflow_execution_id: WorkflowExecutionId | UnsetType = UNSET
    transition_id: TransitionId | UnsetType = UNSET
    transition_execution_id: TransitionExecutionId | UnsetType = UNSET
    order: Order | UnsetType = UNSET


WorkflowFilter = Annotated[
    WorkflowId | None, Parameter(query="workflowId", pattern=r"^las:workflow:[a-f0-9]{32}$(?!\n)")
]
WorkflowExecutionFilter = Annotated[
    WorkflowExecutionId | None,
    Parameter(query="workflowExecutionId", pattern=r"^las:workflow-execution:[a-f0-9]{32}$(?!\n)"),
]
TransitionFilter = Annotated[
    TransitionId | None,
    Parameter(
        query="transitionId", pattern=r"^las:transition:([a-f0-9]{32}|commons-[0-9A-Za-z-]{1,200})$(?!\n)"
    ),
]
TransitionExecutionFilter = Annotated[
    TransitionExecutionId | None,
    Parameter(query="transitionExecutionId", pattern=r"^las:transition-execution:[a-f0-9]{32}$(?!\n)"),
]


def to_log(row: statements.LogRow, lines: Sequence[statements.LogLineRow] | None = None) -> Log:
    """Return a log as the API shows it, with its lines if given."""
    return Log(
        log_id=row.id,
        start_time=timestamp(row.start_time),
        workflow_id=row.workflow_id,
        workflow_execution_id=row.workflow_execution_id,
        transition_id=row.transition_id,
        transition_execution_id=row.transition_execution_id,
        events=UNSET
        if lines is None
        else [LogEvent(timestamp=line.time.timestamp(), message=line.message) for line in lines],
    )


class LogController(Controller):
    """Operations on logs."""

    path = "/logs"
    tags = ("Logs",)

    @get()
    async def list_logs(
        self,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        workflow_id: WorkflowFilter = None,
        workflow_execution_id: WorkflowExecutionFilter = None,
        transition_id: TransitionFilter = None,
        transition_execution_id: TransitionExecutionFilter = None,
        order: Order | None = None,
    ) -> Logs:
        """List the logs of executions, by their start time.

        Each execution of a workflow has a log, and each of its steps. A log has to meet all filters that are
        sent. The lines are left out: read one log to get them.
        """
        rows = await statements.list_logs(
            connection,
            order=order or "ascending",
            organization_id=caller.organization_id,
            workflow_id=workflow_id,
            workflow_execution_id=workflow_execution_id,
            transition_id=transition_id,
            transition_execution_id=transition_execution_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page, by="start_time")
        return Logs(
            logs=[to_log(row) for row in shown],
            next_token=token,
            workflow_id=workflow_id or UNSET,
            workflow_execution_id=workflow_execution_id or UNSET,
            transition_id=transition_id or UNSET,
            transition_execution_id=transition_execution_id or UNSET,
            order=order or UNSET,
        )

    @get("/{log_id:str}")
    async def get_log(self, log_id: LogPath, caller: Caller, connection: RequestConnection) -> Log:
        """Get a log with its lines, oldest first.

        `timestamp` is in seconds since 1970. Of a log with more than 10,000 lines the newest are shown.
        """
        row = await statements.get_log(connection, organization_id=caller.organization_id, log_id=log_id)
        if row is None:
            raise NotFound(f"Log {log_id} not found")
        lines = await statements.list_log_lines(
            connection, organization_id=caller.organization_id, log_id=log_id, limit=SHOWN_LINES
        )
        return to_log(row, lines)
