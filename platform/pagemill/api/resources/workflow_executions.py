"""Executions of a workflow: ``/workflows/{workflowId}/executions``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import asyncpg
from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import workflow_executions as statements
from db.keyset import SORT_COLUMNS, Order, SortBy
from db.logs import DELETE_LOGS_OF_WORKFLOW_EXECUTION
from db.statements import Connection
from db.workflows import KEEP_WORKFLOW, WORKFLOW_EXISTS
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import RequestStruct, ResponseStruct, timestamp
from pagemill.api.http.timestamps import parse_time
from pagemill.api.resources.transition_executions import SortByQuery, checked_data
from pagemill.api.resources.workflows import workflow_not_found
from pagemill.errors import BadRequest, NotFound
from pagemill.workflows.executions import jump, lock_run, start_execution

WorkflowExecutionStatus: TypeAlias = Literal[
    "running", "succeeded", "failed", "rejected", "retry", "error", "completed"
]
ValidTransitionId: TypeAlias = Annotated[
    str, Meta(pattern=r"^las:transition:([a-f0-9]{32}|commons-[0-9A-Za-z-]{1,200})$(?!\n)")
]
Statuses = Annotated[list[WorkflowExecutionStatus] | None, Parameter(query="status")]
FromStartTime = Annotated[str | None, Parameter(query="fromStartTime")]
ToStartTime = Annotated[str | None, Parameter(query="toStartTime")]


class PostWorkflowExecution(RequestStruct):
    input: dict[str, Any]


class PatchWorkflowExecution(RequestStruct):
    """One of the two: the result is consumed (or is not), or the execution goes on elsewhere."""

    status: Literal["succeeded", "completed"] | UnsetType = UNSET
    next_transition_id: ValidTransitionId | UnsetType = UNSET


class WorkflowExecution(ResponseStruct):
    execution_id: str
    workflow_id: str
    status: WorkflowExecutionStatus
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    transition_executions: dict[str, list[str]]
    events: list[dict[str, Any]]
    completed_by: list[str]
    log_id: str | None
    completed_task_log_id: str | None
    created_by: str | None
    start_time: str | None
    end_time: str | None


class WorkflowExecutions(ResponseStruct):
    executions: list[WorkflowExecution]
    next_token: str | None
    workflow_id: str
    status: list[WorkflowExecutionStatus] | UnsetType = UNSET
    sort_by: SortBy | UnsetType = UNSET
    order: Order | UnsetType = UNSET


def to_execution(row: asyncpg.Record) -> WorkflowExecution:
    return WorkflowExecution(
        execution_id=row["id"],
        workflow_id=row["workflow_id"],
        status=row["status"],
        input=row["input"],
        output=row["output"],
        transition_executions=row["transition_executions"],
        events=row["events"],
        completed_by=row["completed_by"],
        log_id=row["log_id"],
        completed_task_log_id=row["completed_task_log_id"],
        created_by=row["created_by"],
        start_time=timestamp(row["start_time"]),
        end_time=timestamp(row["end_time"]),
    )


def execution_not_found(execution_id: str) -> NotFound:
    return NotFound(f"Workflow execution {execution_id} not found")


class WorkflowExecutionController(Controller):
    path = "/workflows/{workflow_id:str}/executions"
    tags = ("Workflow executions",)

    @post(status_code=200, transaction="request")
    async def execute_workflow(
        self,
        workflow_id: str,
        data: PostWorkflowExecution,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> WorkflowExecution:
        """Start the workflow and its first step: both, or neither."""
        given = checked_data(data.input, "input")
        async with connection.transaction():
            workflow = await KEEP_WORKFLOW.fetch_one(connection, caller.organization_id, workflow_id)
            if workflow is None:
                raise workflow_not_found(workflow_id)
            execution_id = await start_execution(
                connection,
                caller.organization_id,
                workflow_id,
                workflow,
                given,
                by=caller.principal_id,
                development_allowance=app_state.settings.development_workflow_executions,
            )
            row = await _find(connection, caller, workflow_id, execution_id)
        return to_execution(row)

    @get()
    async def list_workflow_executions(
        self,
        workflow_id: str,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: Statuses = None,
        from_start_time: FromStartTime = None,
        to_start_time: ToStartTime = None,
        sort_by: SortByQuery = None,
        order: Order | None = None,
    ) -> WorkflowExecutions:
        earliest = parse_time(from_start_time, "fromStartTime") if from_start_time else None
        latest = parse_time(to_start_time, "toStartTime") if to_start_time else None
        if not await WORKFLOW_EXISTS.fetch_value(connection, caller.organization_id, workflow_id):
            raise workflow_not_found(workflow_id)
        sorting = sort_by or "startTime"
        rows = await statements.LIST_EXECUTIONS[sorting, order or "ascending"].fetch(
            connection,
            caller.organization_id,
            workflow_id,
            status,
            earliest,
            latest,
            *page.after,
            page.limit,
        )
        shown, token = cut(rows, page, by=SORT_COLUMNS[sorting])
        return WorkflowExecutions(
            executions=[to_execution(row) for row in shown],
            next_token=token,
            workflow_id=workflow_id,
            status=status or UNSET,
            sort_by=sort_by or UNSET,
            order=order or UNSET,
        )

    @get("/{execution_id:str}")
    async def get_workflow_execution(
        self, workflow_id: str, execution_id: str, caller: Caller, connection: RequestConnection
    ) -> WorkflowExecution:
        return to_execution(await _find(connection, caller, workflow_id, execution_id))

    @patch("/{execution_id:str}")
    async def update_workflow_execution(
        self,
        workflow_id: str,
        execution_id: str,
        data: PatchWorkflowExecution,
        caller: Caller,
        connection: RequestConnection,
    ) -> WorkflowExecution:
        """Complete what has succeeded (or take that back), or go on with another transition."""
        if (data.status is UNSET) == (data.next_transition_id is UNSET):
            raise BadRequest("exactly one member is required: status, nextTransitionId")
        async with connection.transaction():
            before = await _find(connection, caller, workflow_id, execution_id)
            if data.status is not UNSET:
                changed = await statements.COMPLETE_EXECUTION.execute(
                    connection,
                    caller.organization_id,
                    workflow_id,
                    execution_id,
                    data.status,
                    caller.principal_id,
                )
                if not changed:
                    raise BadRequest(f"status: the execution is {before['status']}, it has not succeeded")
            elif data.next_transition_id is not UNSET:
                run = await lock_run(connection, caller.organization_id, execution_id)
                if run is None:
                    raise execution_not_found(execution_id)
                await jump(run, data.next_transition_id, by=caller.principal_id)
            row = await _find(connection, caller, workflow_id, execution_id)
        return to_execution(row)

    @delete("/{execution_id:str}", status_code=200)
    async def delete_workflow_execution(
        self, workflow_id: str, execution_id: str, caller: Caller, connection: RequestConnection
    ) -> WorkflowExecution:
        """Its steps and logs go with it, running or not."""
        async with connection.transaction():
            row = await _find(connection, caller, workflow_id, execution_id)
            if await lock_run(connection, caller.organization_id, execution_id) is None:
                raise execution_not_found(execution_id)
            await DELETE_LOGS_OF_WORKFLOW_EXECUTION.execute(connection, caller.organization_id, execution_id)
            await statements.DELETE_EXECUTION.execute(connection, caller.organization_id, execution_id)
        return to_execution(row)


async def _find(
    connection: Connection, caller: Caller, workflow_id: str, execution_id: str
) -> asyncpg.Record:
    """Raises NotFound."""
    row = await statements.GET_EXECUTION.fetch_one(
        connection, caller.organization_id, workflow_id, execution_id
    )
    if row is None:
        raise execution_not_found(execution_id)
    return row
