"""Transitions: ``/transitions``."""

from __future__ import annotations

from typing import Annotated, Any

import asyncpg
from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import transitions as statements
from db.logs import DELETE_LOGS_OF_TRANSITION
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    change,
    require_members,
)
from pagemill.api.resources.transition_parameters import (
    TransitionType,
    keep_references,
    merge_parameters,
    read_parameters,
)
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import TransitionId, new_id
from pagemill.usage.counting import count, uncount

TimeoutInSeconds = Annotated[int, Meta(ge=60, le=10_800)]
TransitionTypes = Annotated[list[TransitionType] | None, Parameter(query="transitionType")]

DEFAULT_TIMEOUT_IN_SECONDS: dict[TransitionType, int] = {"docker": 1800, "lambda": 1800, "manual": 10_800}


class PostTransition(RequestStruct):
    """The members of ``parameters`` depend on the type."""

    transition_type: TransitionType
    name: Text | None = None
    description: Text | None = None
    parameters: dict[str, Any] | UnsetType = UNSET
    timeout_in_seconds: TimeoutInSeconds | UnsetType = UNSET


class PatchTransition(RequestStruct):
    """Members of ``parameters`` that are not named keep their value."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class Transition(Audited, kw_only=True):
    transition_id: str
    transition_type: TransitionType
    name: str | None
    description: str | None
    parameters: dict[str, Any]
    assets: dict[str, str] | UnsetType
    timeout_in_seconds: int


class Transitions(ResponseStruct):
    transitions: list[Transition]
    next_token: str | None
    transition_type: list[TransitionType] | UnsetType = UNSET


def to_transition(row: asyncpg.Record) -> Transition:
    return Transition(
        transition_id=row["id"],
        transition_type=row["transition_type"],
        name=row["name"],
        description=row["description"],
        parameters=row["parameters"],
        assets=row["parameters"].get("assets", UNSET),
        timeout_in_seconds=row["timeout_in_seconds"],
        **audit(row),
    )


def transition_not_found(transition_id: str) -> NotFound:
    return NotFound(f"Transition {transition_id} not found")


class TransitionController(Controller):
    path = "/transitions"
    tags = ("Transitions",)

    @post(status_code=200, transaction="request")
    async def create_transition(
        self, data: PostTransition, caller: Caller, connection: RequestConnection
    ) -> Transition:
        sent = {} if data.parameters is UNSET else data.parameters
        parameters = read_parameters(data.transition_type, sent)
        timeout = data.timeout_in_seconds
        if timeout is UNSET:
            timeout = DEFAULT_TIMEOUT_IN_SECONDS[data.transition_type]
        async with connection.transaction():
            await keep_references(connection, caller, parameters)
            await count(connection, caller.organization_id, "transitions")
            row = await statements.INSERT_TRANSITION.fetch_one(
                connection,
                caller.organization_id,
                new_id(TransitionId),
                data.name,
                data.description,
                data.transition_type,
                parameters,
                timeout,
                caller.principal_id,
            )
        assert row is not None
        return to_transition(row)

    @get()
    async def list_transitions(
        self,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        transition_type: TransitionTypes = None,
    ) -> Transitions:
        rows = await statements.LIST_TRANSITIONS.fetch(
            connection, caller.organization_id, transition_type, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return Transitions(
            transitions=[to_transition(row) for row in shown],
            next_token=token,
            transition_type=transition_type or UNSET,
        )

    @get("/{transition_id:str}")
    async def get_transition(
        self, transition_id: str, caller: Caller, connection: RequestConnection
    ) -> Transition:
        row = await statements.GET_TRANSITION.fetch_one(connection, caller.organization_id, transition_id)
        if row is None:
            raise transition_not_found(transition_id)
        return to_transition(row)

    @patch("/{transition_id:str}")
    async def update_transition(
        self, transition_id: str, data: PatchTransition, caller: Caller, connection: RequestConnection
    ) -> Transition:
        require_members(data)
        async with connection.transaction():
            before = await statements.LOCK_TRANSITION.fetch_one(
                connection, caller.organization_id, transition_id
            )
            if before is None:
                raise transition_not_found(transition_id)
            parameters = before["parameters"]
            if data.parameters is not UNSET:
                changes = read_parameters(before["transition_type"], data.parameters, changes=True)
                await keep_references(connection, caller, changes)
                parameters = merge_parameters(parameters, changes)
            row = await statements.UPDATE_TRANSITION.fetch_one(
                connection,
                caller.organization_id,
                transition_id,
                *change(data.name),
                *change(data.description),
                parameters,
                caller.principal_id,
            )
        assert row is not None
        return to_transition(row)

    @delete("/{transition_id:str}", status_code=200)
    async def delete_transition(
        self, transition_id: str, caller: Caller, connection: RequestConnection
    ) -> Transition:
        """A transition that a workflow uses stays; its executions go with it."""
        organization_id = caller.organization_id
        async with connection.transaction():
            row = await statements.LOCK_TRANSITION.fetch_one(connection, organization_id, transition_id)
            if row is None:
                raise transition_not_found(transition_id)
            user = await statements.WORKFLOW_THAT_USES.fetch_value(connection, organization_id, transition_id)
            if user is not None:
                raise BadRequest(f"Transition {transition_id} is used by workflow {user}")
            await DELETE_LOGS_OF_TRANSITION.execute(connection, organization_id, transition_id)
            await statements.DELETE_TRANSITION.execute(connection, organization_id, transition_id)
            await uncount(connection, organization_id, "transitions")
        return to_transition(row)
