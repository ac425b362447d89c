"""Logs of executions: ``/logs``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import asyncpg
from litestar import Controller, get
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from db import logs as statements
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import ResponseStruct, timestamp
from pagemill.errors import NotFound

SHOWN_LINES = 10_000
"""Of a longer log the newest ones are shown."""

Order: TypeAlias = Literal["ascending", "descending"]


class LogEvent(ResponseStruct):
    """A line; ``timestamp`` is in seconds since 1970."""

    timestamp: float
    message: str


class Log(ResponseStruct):
    log_id: str
    start_time: str | None
    workflow_id: str | None
    workflow_execution_id: str | None
    transition_id: str | None
    transition_execution_id: str | None
    events: list[LogEvent] | UnsetType = UNSET


class Logs(ResponseStruct):
    logs: list[Log]
    next_token: str | None
    workflow_id: str | UnsetType = UNSET
    workflow_execution_id: str | UnsetType = UNSET
    transition_id: str | UnsetType = UNSET
    transition_execution_id: str | UnsetType = UNSET
    order: Order | UnsetType = UNSET


WorkflowFilter = Annotated[
    str | None, Parameter(query="workflowId", pattern=r"^las:workflow:[a-f0-9]{32}$(?!\n)")
]
WorkflowExecutionFilter = Annotated[
    str | None, Parameter(query="workflowExecutionId", pattern=r"^las:workflow-execution:[a-f0-9]{32}$(?!\n)")
]
TransitionFilter = Annotated[
    str | None,
    Parameter(
        query="transitionId", pattern=r"^las:transition:([a-f0-9]{32}|commons-[0-9A-Za-z-]{1,200})$(?!\n)"
    ),
]
TransitionExecutionFilter = Annotated[
    str | None,
    Parameter(query="transitionExecutionId", pattern=r"^las:transition-execution:[a-f0-9]{32}$(?!\n)"),
]


def to_log(row: asyncpg.Record, lines: list[asyncpg.Record] | None = None) -> Log:
    return Log(
        log_id=row["id"],
        start_time=timestamp(row["start_time"]),
        workflow_id=row["workflow_id"],
        workflow_execution_id=row["workflow_execution_id"],
        transition_id=row["transition_id"],
        transition_execution_id=row["transition_execution_id"],
        events=UNSET
        if lines is None
        else [LogEvent(timestamp=line["time"].timestamp(), message=line["message"]) for line in lines],
    )


class LogController(Controller):
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
        """The filters are all to be met; the lines are read one log at a time."""
        rows = await statements.LIST_LOGS[order or "ascending"].fetch(
            connection,
            caller.organization_id,
            workflow_id,
            workflow_execution_id,
            transition_id,
            transition_execution_id,
            *page.after,
            page.limit,
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
    async def get_log(self, log_id: str, caller: Caller, connection: RequestConnection) -> Log:
        row = await statements.GET_LOG.fetch_one(connection, caller.organization_id, log_id)
        if row is None:
            raise NotFound(f"Log {log_id} not found")
        lines = await statements.LOG_LINES.fetch(connection, caller.organization_id, log_id, SHOWN_LINES)
        return to_log(row, lines)
