"""REST resource ``/transitions/{transitionId}/executions``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import transition_executions as statements
from db.keyset import SORT_COLUMNS, Order, SortBy
from db.statements import Connection
from db.transition_executions import TransitionExecutionStatus
from db.transitions import get_transition, keep_transition
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import RequestStruct, ResponseStruct, Text, timestamp
from pagemill.api.http.timestamps import parse_time
from pagemill.api.resources.transitions import transition_not_found
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import LogId, PrincipalId, TransitionExecutionId, TransitionId
from pagemill.workflows.claims import claim_next, keep, refuse
from pagemill.workflows.step_endings import finish_step
from pagemill.workflows.transition_executions import EndStatus, StepResult, begin_execution, lock_running

DATA_BYTES = 256 * 1024
"""Largest input and output; the output of a step is the input of the next."""

TransitionPath = Annotated[TransitionId, Parameter(description="las:transition:<32 hexadecimal digits>")]
ExecutionPath = Annotated[
    TransitionExecutionId, Parameter(description="las:transition-execution:<32 hexadecimal digits>")
]
Statuses = Annotated[list[TransitionExecutionStatus] | None, Parameter(query="status")]
ExecutionIds = Annotated[list[TransitionExecutionId] | None, Parameter(query="executionId")]
SortByQuery = Annotated[SortBy | None, Parameter(query="sortBy")]


class PostTransitionExecution(msgspec.Struct):
    """Any object; ``input`` is the input of an execution that is started without a workflow."""

    input: dict[str, Any] | UnsetType = UNSET


class PostHeartbeat(msgspec.Struct):
    """Any object."""


class ExecutionError(RequestStruct):
    """Reason why an execution has not succeeded."""

    message: Text


class PatchTransitionExecution(RequestStruct):
    """Result of an execution: a status with an output or an error."""

    status: EndStatus | UnsetType = UNSET
    output: dict[str, Any] | UnsetType = UNSET
    error: ExecutionError | UnsetType = UNSET
    start_time: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET


class TransitionExecution(ResponseStruct):
    """An execution of a transition."""

    execution_id: TransitionExecutionId
    transition_id: TransitionId
    status: TransitionExecutionStatus
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    completed_by: PrincipalId | None
    log_id: LogId | None
    start_time: str | None
    end_time: str | None


class TransitionExecutions(ResponseStruct):
    """A page of executions of a transition, with the filter that was sent."""

    executions: list[TransitionExecution]
    next_token: str | None
    transition_id: TransitionId
    status: list[TransitionExecutionStatus] | UnsetType = UNSET


def to_execution(row: statements.TransitionExecutionRow) -> TransitionExecution:
    """Return an execution as the API shows it."""
    return TransitionExecution(
        execution_id=row.id,
        transition_id=row.transition_id,
        status=row.status,
        input=row.input,
        output=row.output,
        completed_by=row.completed_by,
        log_id=row.log_id,
        start_time=timestamp(row.start_time),
        end_time=timestamp(row.end_time),
    )


def execution_not_found(execution_id: TransitionExecutionId) -> NotFound:
    """Return the error for an execution that the transition does not have."""
    return NotFound(f"Transition execution {execution_id} not found")


def checked_data(data: dict[str, Any], member: str) -> dict[str, Any]:
    """Return an input or output as sent. Raises BadRequest when it is larger than 256 KiB."""
    if len(msgspec.json.encode(data)) > DATA_BYTES:
        raise BadRequest(f"{member}: must not be larger than {DATA_BYTES} bytes")
    return data


class TransitionExecutionController(Controller):
    """Operations on executions of transitions."""

    path = "/transitions/{transition_id:str}/executions"
    tags = ("Transition executions",)

    @post(status_code=200, transaction="request")
    async def execute_transition(
        self,
        transition_id: TransitionPath,
        data: PostTransitionExecution,
        caller: Caller,
        connection: RequestConnection,
    ) -> TransitionExecution:
        """Claim or start an execution of a transition.

        Of a `manual` transition the execution that has waited longest is claimed and returned; when none
        waits, the answer is 404. Send a heartbeat at least every 60 seconds, else somebody else can claim the
        execution, and report its result with `PATCH`. The body is `{}`.

        Of a `docker` or `lambda` transition a new execution is started without a workflow, on the `input`
        in the body (at most 256 KiB). The transition needs its `imageUrl` or `lambdaId` (400). The number
        of executions is limited by the plan (429).
        """
        organization_id = caller.organization_id
        async with connection.transaction():
            transition = await keep_transition(
                connection, organization_id=organization_id, transition_id=transition_id
            )
            if transition is None:
                raise transition_not_found(transition_id)
            if transition.transition_type == "manual":
                row: statements.TransitionExecutionRow | None = await claim_next(
                    connection, organization_id, transition_id, by=caller.principal_id
                )
            else:
                given = {} if data.input is UNSET else checked_data(data.input, "input")
                row = await begin_execution(connection, organization_id, transition, given)
        if row is None:
            raise NotFound(f"No execution of transition {transition_id} is waiting")
        return to_execution(row)

    @get()
    async def list_transition_executions(
        self,
        transition_id: TransitionPath,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: Statuses = None,
        execution_id: ExecutionIds = None,
        sort_by: SortByQuery = None,
        order: Order | None = None,
    ) -> TransitionExecutions:
        """List the executions of a transition.

        They are sorted by `startTime`, or by `endTime` with `sortBy`, ascending unless `order` is
        `descending`; executions without that time come last, or first in descending order. `status` and
        `executionId` limit the list and can be repeated.
        """
        transition = await get_transition(
            connection, organization_id=caller.organization_id, transition_id=transition_id
        )
        if transition is None:
            raise transition_not_found(transition_id)
        sorting = sort_by or "startTime"
        rows = await statements.list_transition_executions(
            connection,
            sort_by=sorting,
            order=order or "ascending",
            organization_id=caller.organization_id,
            transition_id=transition_id,
            statuses=status,
            execution_ids=execution_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page, by=SORT_COLUMNS[sorting])
        return TransitionExecutions(
            executions=[to_execution(row) for row in shown],
            next_token=token,
            transition_id=transition_id,
            status=status or UNSET,
        )

    @get("/{execution_id:str}")
    async def get_transition_execution(
        self,
        transition_id: TransitionPath,
        execution_id: ExecutionPath,
        caller: Caller,
        connection: RequestConnection,
    ) -> TransitionExecution:
        """Get an execution of a transition.

        It is `running` until its result is known: `succeeded`, `failed`, `rejected` or `retry`.
        """
        return to_execution(await find_execution(connection, caller, transition_id, execution_id))

    @patch("/{execution_id:str}", empty_patch=True)
    async def update_transition_execution(
        self,
        transition_id: TransitionPath,
        execution_id: ExecutionPath,
        data: PatchTransitionExecution,
        caller: Caller,
        connection: RequestConnection,
    ) -> TransitionExecution:
        """Report the result of an execution.

        With the status `succeeded` the workflow goes on with `output` as the input of its next state. With
        `failed` or `retry` it runs the task again when the task's `Retry` allows that, and else fails. With
        `rejected` it ends as rejected. `error.message` tells why the execution has not succeeded.

        The output has at most 256 KiB. An execution that has ended or timed out cannot be changed (400), nor
        one that somebody else has claimed, or on which the caller's own claim has ended. `startTime` replaces
        the start time, with or without a status.
        """
        organization_id = caller.organization_id
        start_time = parse_time(data.start_time, "startTime") if data.start_time else None
        async with connection.transaction():
            if data.status is not UNSET:
                result = StepResult(
                    data.status,
                    output=None if data.output is UNSET else checked_data(data.output, "output"),
                    message=None if data.error is UNSET else data.error.message,
                )
                if not await finish_step(
                    connection, organization_id, transition_id, execution_id, result, by=caller.principal_id
                ):
                    raise execution_not_found(execution_id)
            elif data.output is not UNSET or data.error is not UNSET:
                raise BadRequest("status: is required with an output or an error")
            else:
                await find_execution(connection, caller, transition_id, execution_id)
                await lock_running(connection, organization_id, execution_id, by=caller.principal_id)
            if start_time is not None:
                await statements.set_start_time(
                    connection,
                    organization_id=organization_id,
                    execution_id=execution_id,
                    start_time=start_time,
                )
            row = await find_execution(connection, caller, transition_id, execution_id)
        return to_execution(row)

    @post("/{execution_id:str}/heartbeats", status_code=204, transaction="request")
    async def send_heartbeat(
        self,
        transition_id: TransitionPath,
        execution_id: ExecutionPath,
        data: PostHeartbeat,
        caller: Caller,
        connection: RequestConnection,
    ) -> None:
        """Keep the claim on an execution of a manual transition.

        Send one at least every 60 seconds while the work goes on; the body is `{}`. A step whose state has
        `HeartbeatSeconds` fails with `States.HeartbeatTimeout` when none comes for so long. An execution that
        has ended or timed out takes no heartbeats (400), nor does one that somebody else has claimed.
        """
        organization_id, by = caller.organization_id, caller.principal_id
        if not await keep(connection, organization_id, transition_id, execution_id, by=by):
            await find_execution(connection, caller, transition_id, execution_id)
            await refuse(connection, organization_id, execution_id, by=by)


async def find_execution(
    connection: Connection,
    caller: Caller,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
) -> statements.TransitionExecutionRow:
    """Return an execution. Raises NotFound."""
    row = await statements.get_transition_execution(
        connection,
        organization_id=caller.organization_id,
        transition_id=transition_id,
        execution_id=execution_id,
    )
    if row is None:
        raise execution_not_found(execution_id)
    return row
