"""Claims on executions of manual transitions, beside those that ``transition_executions`` has."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, post
from msgspec import Meta

from db.claims import GivingBack
from db.statements import Connection
from db.transitions import get_transition
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.schemas import RequestStruct, Text
from pagemill.api.http.timestamps import MAX_LENGTH, parse_time
from pagemill.api.resources.transition_executions import (
    ExecutionPath,
    TransitionExecution,
    TransitionPath,
    find_execution,
    to_execution,
)
from pagemill.errors import BadRequest
from pagemill.ids import TransitionExecutionId, TransitionId
from pagemill.workflows.claims import claim, give_back


class PostClaim(RequestStruct):
    """Nothing: who claims is the caller."""


class PostRelease(RequestStruct):
    """A note on why a claim is given back."""

    reason: Text | None = None


class PostDeferral(RequestStruct):
    """When an execution is to be offered again, and why not now."""

    until: Annotated[str, Meta(max_length=MAX_LENGTH)] | None = None
    reason: Text | None = None


class ClaimController(Controller):
    """Operations on the claim of one execution."""

    path = "/transitions/{transition_id:str}/executions/{execution_id:str}"
    tags = ("Transition executions",)

    @post("/claim", status_code=200, transaction="request")
    async def claim_transition_execution(
        self,
        transition_id: TransitionPath,
        execution_id: ExecutionPath,
        data: PostClaim,
        caller: Caller,
        connection: RequestConnection,
    ) -> TransitionExecution:
        """Claim a certain execution of a manual transition.

        It may be any that waits, also one that was deferred. The claim holds while heartbeats come. Whoever
        holds it already keeps it; while somebody else does, or when it has ended or timed out, the answer is
        400. Only executions of `manual` transitions can be claimed (400). The body is `{}`.

        This operation goes beyond the reference API.
        """
        async with connection.transaction():
            await _find_manual(connection, caller, transition_id, execution_id)
            await claim(
                connection, caller.organization_id, transition_id, execution_id, by=caller.principal_id
            )
            return to_execution(await find_execution(connection, caller, transition_id, execution_id))

    @post("/release", status_code=200, transaction="request")
    async def release_transition_execution(
        self,
        transition_id: TransitionPath,
        execution_id: ExecutionPath,
        data: PostRelease,
        caller: Caller,
        connection: RequestConnection,
    ) -> TransitionExecution:
        """Release the claim on an execution.

        The execution waits again, at its former place, and anybody can claim it. Only who holds the claim can
        give it back (400). `reason` stands in the log of the execution.

        This operation goes beyond the reference API.
        """
        return await _give_back(connection, caller, transition_id, execution_id, "released", data.reason)

    @post("/defer", status_code=200, transaction="request")
    async def defer_transition_execution(
        self,
        transition_id: TransitionPath,
        execution_id: ExecutionPath,
        data: PostDeferral,
        caller: Caller,
        connection: RequestConnection,
    ) -> TransitionExecution:
        """Defer an execution to a later time.

        Its claim ends. With `until`, at most 366 days ahead, it is not offered before that time, and then as
        if it had come at that time; without, it goes behind those that wait now. It can still be claimed by
        its id. Only who holds the claim can put it off (400). `reason` stands in the log of the execution.

        This operation goes beyond the reference API.
        """
        return await _give_back(
            connection, caller, transition_id, execution_id, "deferred", data.reason, data.until
        )


async def _give_back(
    connection: Connection,
    caller: Caller,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
    ending: GivingBack,
    reason: str | None,
    until: str | None = None,
) -> TransitionExecution:
    """End the caller's claim and return the execution. Raises NotFound and BadRequest."""
    time = None if until is None else parse_time(until, "until")
    async with connection.transaction():
        await _find_manual(connection, caller, transition_id, execution_id)
        await give_back(
            connection,
            caller.organization_id,
            transition_id,
            execution_id,
            by=caller.principal_id,
            ending=ending,
            reason=reason,
            until=time,
        )
        return to_execution(await find_execution(connection, caller, transition_id, execution_id))


async def _find_manual(
    connection: Connection, caller: Caller, transition_id: TransitionId, execution_id: TransitionExecutionId
) -> None:
    """Look an execution of a manual transition up. Raises NotFound, and BadRequest for other transitions."""
    await find_execution(connection, caller, transition_id, execution_id)
    transition = await get_transition(
        connection, organization_id=caller.organization_id, transition_id=transition_id
    )
    if transition is not None and transition.transition_type != "manual":
        raise BadRequest(f"Transition {transition_id} is not manual: its executions cannot be claimed")
