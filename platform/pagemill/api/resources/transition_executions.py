"""Executions of a transition: ``/transitions/{transitionId}/executions``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import asyncpg
import msgspec
from litestar import Controller, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import transition_executions as statements
from db.keyset import SORT_COLUMNS, Order, SortBy
from db.statements import Connection
from db.transitions import GET_TRANSITION, KEEP_TRANSITION
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import RequestStruct, ResponseStruct, Text, timestamp
from pagemill.api.http.timestamps import parse_time
from pagemill.api.resources.transitions import transition_not_found
from pagemill.errors import BadRequest, NotFound
from pagemill.workflows.executions import finish_step
from pagemill.workflows.steps import EndStatus, Outcome, begin_execution, lock_running

DATA_BYTES = 256 * 1024
"""Of an input, and of an output, which is the next step's input."""

TransitionExecutionStatus: TypeAlias = Literal["running", "succeeded", "failed", "rejected", "retry"]
Statuses = Annotated[list[TransitionExecutionStatus] | None, Parameter(query="status")]
ExecutionIds = Annotated[list[str] | None, Parameter(query="executionId")]
SortByQuery = Annotated[SortBy | None, Parameter(query="sortBy")]


class PostTransitionExecution(msgspec.Struct):
    """Any object. Its ``input`` is that of an execution that is started alone."""

    input: dict[str, Any] | UnsetType = UNSET


class PostHeartbeat(msgspec.Struct):
    """Any object."""


class ExecutionError(RequestStruct):
    message: Text


class PatchTransitionExecution(RequestStruct):
    """How the execution ended: with an output, or an error."""

    status: EndStatus | UnsetType = UNSET
    output: dict[str, Any] | UnsetType = UNSET
    error: ExecutionError | UnsetType = UNSET
    start_time: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET


class TransitionExecution(ResponseStruct):
    execution_id: str
    transition_id: str
    status: TransitionExecutionStatus
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    completed_by: str | None
    log_id: str | None
    start_time: str | None
    end_time: str | None


class TransitionExecutions(ResponseStruct):
    executions: list[TransitionExecution]
    next_token: str | None
    transition_id: str
    status: list[TransitionExecutionStatus] | UnsetType = UNSET


def to_execution(row: asyncpg.Record) -> TransitionExecution:
    return TransitionExecution(
        execution_id=row["id"],
        transition_id=row["transition_id"],
        status=row["status"],
        input=row["input"],
        output=row["output"],
        completed_by=row["completed_by"],
        log_id=row["log_id"],
        start_time=timestamp(row["start_time"]),
        end_time=timestamp(row["end_time"]),
    )


def execution_not_found(execution_id: str) -> NotFound:
    return NotFound(f"Transition execution {execution_id} not found")


def checked_data(data: dict[str, Any], member: str) -> dict[str, Any]:
    """An input or output as sent. Raises BadRequest when it is larger than 256 kB."""
    if len(msgspec.json.encode(data)) > DATA_BYTES:
        raise BadRequest(f"{member}: must not be larger than {DATA_BYTES} bytes")
    return data


async def require_transition(connection: Connection, caller: Caller, transition_id: str) -> None:
    """Raises NotFound."""
    if await GET_TRANSITION.fetch_one(connection, caller.organization_id, transition_id) is None:
        raise transition_not_found(transition_id)


class TransitionExecutionController(Controller):
    path = "/transitions/{transition_id:str}/executions"
    tags = ("Transition executions",)

    @post(status_code=200, transaction="request")
    async def execute_transition(
        self,
        transition_id: str,
        data: PostTransitionExecution,
        caller: Caller,
        connection: RequestConnection,
    ) -> TransitionExecution:
        """Claim the execution of a manual transition that waits longest; start one of any other."""
        organization_id = caller.organization_id
        async with connection.transaction():
            transition_type = await KEEP_TRANSITION.fetch_value(connection, organization_id, transition_id)
            if transition_type is None:
                raise transition_not_found(transition_id)
            if transition_type == "manual":
                row = await statements.CLAIM_EXECUTION.fetch_one(
                    connection, organization_id, transition_id, caller.principal_id
                )
            else:
                given = {} if data.input is UNSET else checked_data(data.input, "input")
                row = await begin_execution(connection, organization_id, transition_id, given)
        if row is None:
            raise NotFound(f"No execution of transition {transition_id} waits")
        return to_execution(row)

    @get()
    async def list_transition_executions(
        self,
        transition_id: str,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: Statuses = None,
        execution_id: ExecutionIds = None,
        sort_by: SortByQuery = None,
        order: Order | None = None,
    ) -> TransitionExecutions:
        await require_transition(connection, caller, transition_id)
        sorting = sort_by or "startTime"
        rows = await statements.LIST_EXECUTIONS[sorting, order or "ascending"].fetch(
            connection,
            caller.organization_id,
            transition_id,
            status,
            execution_id,
            *page.after,
            page.limit,
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
        self, transition_id: str, execution_id: str, caller: Caller, connection: RequestConnection
    ) -> TransitionExecution:
        return to_execution(await _find(connection, caller, transition_id, execution_id))

    @patch("/{execution_id:str}", empty_patch=True)
    async def update_transition_execution(
        self,
        transition_id: str,
        execution_id: str,
        data: PatchTransitionExecution,
        caller: Caller,
        connection: RequestConnection,
    ) -> TransitionExecution:
        """Say how it ended: the workflow that it is a step of goes on in the same transaction."""
        organization_id = caller.organization_id
        start_time = parse_time(data.start_time, "startTime") if data.start_time else None
        async with connection.transaction():
            if data.status is not UNSET:
                outcome = Outcome(
                    data.status,
                    output=None if data.output is UNSET else checked_data(data.output, "output"),
                    message=None if data.error is UNSET else data.error.message,
                )
                if not await finish_step(
                    connection, organization_id, transition_id, execution_id, outcome, by=caller.principal_id
                ):
                    raise execution_not_found(execution_id)
            elif data.output is not UNSET or data.error is not UNSET:
                raise BadRequest("status: is required with an output or an error")
            else:
                await _find(connection, caller, transition_id, execution_id)
                await lock_running(connection, organization_id, execution_id)
            if start_time is not None:
                await statements.SET_START.execute(connection, organization_id, execution_id, start_time)
            row = await _find(connection, caller, transition_id, execution_id)
        return to_execution(row)

    @post("/{execution_id:str}/heartbeats", status_code=204, transaction="request")
    async def send_heartbeat(
        self,
        transition_id: str,
        execution_id: str,
        data: PostHeartbeat,
        caller: Caller,
        connection: RequestConnection,
    ) -> None:
        """Keep the claim on an execution for another minute."""
        beaten = await statements.BEAT.execute(
            connection, caller.organization_id, transition_id, execution_id
        )
        if not beaten:
            row = await _find(connection, caller, transition_id, execution_id)
            raise BadRequest(f"Transition execution {execution_id} has ended or timed out: {row['status']}")


async def _find(
    connection: Connection, caller: Caller, transition_id: str, execution_id: str
) -> asyncpg.Record:
    """Raises NotFound."""
    row = await statements.GET_EXECUTION.fetch_one(
        connection, caller.organization_id, transition_id, execution_id
    )
    if row is None:
        raise execution_not_found(execution_id)
    return row
