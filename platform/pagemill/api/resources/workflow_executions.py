"""REST resource ``/workflows/{workflowId}/executions``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from litestar import Controller, delete, get, patch, post
from litestar.di import Provide
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import workflow_executions as statements
from db.keyset import SORT_COLUMNS, Order, SortBy
from db.statements import Connection
from db.workflow_executions import WorkflowExecutionStatus
from db.workflows import find_workflow_id
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import KeyConnection, RequestConnection, provide_key_connection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import RequestStruct, ResponseStruct, timestamp
from pagemill.api.http.timestamps import parse_time
from pagemill.api.resources.transition_executions import SortByQuery, checked_data
from pagemill.api.resources.workflows import workflow_not_found
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import (
    LogId,
    PrincipalId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
)
from pagemill.workflows.workflow_executions import (
    Start,
    jump,
    lock_execution,
    remove_execution,
    start_together,
)

ValidTransitionId: TypeAlias = Annotated[
    TransitionId, Meta(pattern=r"^las:transition:([a-f0-9]{32}|commons-[0-9A-Za-z-]{1,200})$(?!\n)")
]
WorkflowPath = Annotated[WorkflowId, Parameter(description="las:workflow:<32 hexadecimal digits>")]
ExecutionPath = Annotated[
    WorkflowExecutionId, Parameter(description="las:workflow-execution:<32 hexadecimal digits>")
]
Statuses = Annotated[list[WorkflowExecutionStatus] | None, Parameter(query="status")]
FromStartTime = Annotated[str | None, Parameter(query="fromStartTime")]
ToStartTime = Annotated[str | None, Parameter(query="toStartTime")]


class PostWorkflowExecution(RequestStruct):
    """A new execution of a workflow."""

    input: dict[str, Any]


class PatchWorkflowExecution(RequestStruct):
    """Exactly one change of an execution: its status, or the transition that it goes on with."""

    status: Literal["succeeded", "completed"] | UnsetType = UNSET
    next_transition_id: ValidTransitionId | UnsetType = UNSET


class WorkflowExecution(ResponseStruct):
    """An execution of a workflow; ``transition_executions`` has its steps by transition."""

    execution_id: WorkflowExecutionId
    workflow_id: WorkflowId
    status: WorkflowExecutionStatus
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    transition_executions: dict[TransitionId, list[TransitionExecutionId]]
    events: list[dict[str, Any]]
    completed_by: list[PrincipalId]
    log_id: LogId | None
    completed_task_log_id: LogId | None
    created_by: PrincipalId | None
    start_time: str | None
    end_time: str | None


class WorkflowExecutions(ResponseStruct):
    """A page of executions of a workflow, with the filters that were sent."""

    executions: list[WorkflowExecution]
    next_token: str | None
    workflow_id: WorkflowId
    status: list[WorkflowExecutionStatus] | UnsetType = UNSET
    sort_by: SortBy | UnsetType = UNSET
    order: Order | UnsetType = UNSET


def to_execution(row: statements.WorkflowExecutionRow) -> WorkflowExecution:
    """Return an execution as the API shows it."""
    return WorkflowExecution(
        execution_id=row.id,
        workflow_id=row.workflow_id,
        status=row.status,
        input=row.input,
        output=row.output,
        transition_executions=row.transition_executions,
        events=row.events,
        completed_by=row.completed_by,
        log_id=row.log_id,
        completed_task_log_id=row.completed_task_log_id,
        created_by=row.created_by,
        start_time=timestamp(row.start_time),
        end_time=timestamp(row.end_time),
    )


def execution_not_found(execution_id: WorkflowExecutionId) -> NotFound:
    """Return the error for an execution that the workflow does not have."""
    return NotFound(f"Workflow execution {execution_id} not found")


class WorkflowExecutionController(Controller):
    """Operations on executions of workflows."""

    path = "/workflows/{workflow_id:str}/executions"
    tags = ("Workflow executions",)

    @post(
        status_code=200,
        transaction="request",
        dependencies={"connection": Provide(provide_key_connection, sync_to_thread=False)},
    )
    async def execute_workflow(
        self,
        workflow_id: WorkflowPath,
        data: PostWorkflowExecution,
        caller: Caller,
        connection: KeyConnection,
        app_state: AppState,
    ) -> WorkflowExecution:
        """Start a workflow.

        `input` is any JSON object of at most 256 KiB; it is the input of the first state. The answer shows
        the execution with its first step; it is `running` until it has ended as `succeeded`, `failed` or
        `rejected`, or waits with the status `retry`. Read it again to learn its result, or create a webhook.

        The number of executions a month is limited by the plan, and for a workflow in `development` by a
        smaller number of its own (429).
        """
        start = Start(workflow_id, checked_data(data.input, "input"), caller.principal_id)
        if connection is not None:
            async with connection.transaction():
                [row] = await start_together(
                    connection,
                    caller.organization_id,
                    [start],
                    development_allowance=app_state.settings.development_workflow_executions,
                )
        else:
            row = await app_state.execution_starts.start(caller.organization_id, start)
        if row is None:
            raise workflow_not_found(workflow_id)
        return to_execution(row)

    @get()
    async def list_workflow_executions(
        self,
        workflow_id: WorkflowPath,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: Statuses = None,
        from_start_time: FromStartTime = None,
        to_start_time: ToStartTime = None,
        sort_by: SortByQuery = None,
        order: Order | None = None,
    ) -> WorkflowExecutions:
        """List the executions of a workflow.

        They are sorted by `startTime`, or by `endTime` with `sortBy`, ascending unless `order` is
        `descending`; executions that have not ended come last by `endTime`, or first in descending order.
        `status`, which can be repeated, and the two start times limit the list.
        """
        earliest = parse_time(from_start_time, "fromStartTime") if from_start_time else None
        latest = parse_time(to_start_time, "toStartTime") if to_start_time else None
        if not await find_workflow_id(
            connection, organization_id=caller.organization_id, workflow_id=workflow_id
        ):
            raise workflow_not_found(workflow_id)
        sorting = sort_by or "startTime"
        rows = await statements.list_workflow_executions(
            connection,
            sort_by=sorting,
            order=order or "ascending",
            organization_id=caller.organization_id,
            workflow_id=workflow_id,
            statuses=status,
            from_start_time=earliest,
            to_start_time=latest,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
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
        self,
        workflow_id: WorkflowPath,
        execution_id: ExecutionPath,
        caller: Caller,
        connection: RequestConnection,
    ) -> WorkflowExecution:
        """Get an execution of a workflow.

        `transitionExecutions` has the ids of its steps by the transition that they ran; `events` tells of
        failures and of requests to go on with another transition; `output` is null until the execution has
        succeeded.
        """
        return to_execution(await _find(connection, caller, workflow_id, execution_id))

    @patch("/{execution_id:str}")
    async def update_workflow_execution(
        self,
        workflow_id: WorkflowPath,
        execution_id: ExecutionPath,
        data: PatchWorkflowExecution,
        caller: Caller,
        connection: RequestConnection,
    ) -> WorkflowExecution:
        """Complete an execution, or continue it elsewhere.

        Exactly one member is sent (400). `status` changes an execution from `succeeded` to `completed`, when
        its result has been used, or back. `nextTransitionId` lets an execution that is `running`, or waits
        with the status `retry`, go on with that transition, on the output of its newest step;
        `las:transition:commons-failed` ends it as failed.
        """
        if (data.status is UNSET) == (data.next_transition_id is UNSET):
            raise BadRequest("exactly one member is required: status, nextTransitionId")
        async with connection.transaction():
            before = await _find(connection, caller, workflow_id, execution_id)
            if data.status is not UNSET:
                changed = await statements.complete_workflow_execution(
                    connection,
                    organization_id=caller.organization_id,
                    workflow_id=workflow_id,
                    execution_id=execution_id,
                    status=data.status,
                    caller_id=caller.principal_id,
                )
                if not changed:
                    raise BadRequest(f"status: the execution is {before.status}, it has not succeeded")
            elif data.next_transition_id is not UNSET:
                execution = await lock_execution(connection, caller.organization_id, execution_id)
                if execution is None:
                    raise execution_not_found(execution_id)
                await jump(execution, data.next_transition_id, by=caller.principal_id)
            row = await _find(connection, caller, workflow_id, execution_id)
        return to_execution(row)

    @delete("/{execution_id:str}", status_code=200)
    async def delete_workflow_execution(
        self,
        workflow_id: WorkflowPath,
        execution_id: ExecutionPath,
        caller: Caller,
        connection: RequestConnection,
    ) -> WorkflowExecution:
        """Delete an execution, its steps and their logs.

        An execution that is running is deleted as well and does not go on: its steps and timers are ended.
        """
        async with connection.transaction():
            row = await _find(connection, caller, workflow_id, execution_id)
            if not await remove_execution(
                connection, caller.organization_id, execution_id, by=caller.principal_id
            ):
                raise execution_not_found(execution_id)
        return to_execution(row)


async def _find(
    connection: Connection, caller: Caller, workflow_id: WorkflowId, execution_id: WorkflowExecutionId
) -> statements.WorkflowExecutionRow:
    """Return an execution. Raises NotFound."""
    row = await statements.get_workflow_execution(
        connection,
        organization_id=caller.organization_id,
        workflow_id=workflow_id,
        execution_id=execution_id,
    )
    if row is None:
        raise execution_not_found(execution_id)
    return row
