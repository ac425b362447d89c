"""REST resource ``/transitions``: what the steps of workflows run."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import transitions as statements
from db.logs import delete_logs_of_transition
from db.transitions import TransitionType
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.named_resources import ids_in_free_object, require_readable
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    require_members,
)
from pagemill.api.resources.transition_parameters import (
    keep_named_resources,
    merge_parameters,
    read_parameters,
)
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import TransitionId, new_id
from pagemill.permissions import PermissionSet
from pagemill.usage.counting import count, uncount
from pagemill.workflows.transition_executions import stop_executions

TimeoutInSeconds = Annotated[int, Meta(ge=60, le=10_800)]
TransitionPath = Annotated[TransitionId, Parameter(description="las:transition:<32 hexadecimal digits>")]
TransitionTypes = Annotated[list[TransitionType] | None, Parameter(query="transitionType")]

DEFAULT_TIMEOUT_IN_SECONDS: dict[TransitionType, int] = {"docker": 1800, "lambda": 1800, "manual": 10_800}


class PostTransition(RequestStruct):
    """A new transition; the members of ``parameters`` depend on its type."""

    transition_type: TransitionType
    name: Text | None = None
    description: Text | None = None
    parameters: dict[str, Any] | UnsetType = UNSET
    timeout_in_seconds: TimeoutInSeconds | UnsetType = UNSET


class PatchTransition(RequestStruct):
    """Changes of a transition; members of ``parameters`` that are not sent keep their value."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class Transition(Audited, kw_only=True):
    """A transition; ``assets`` are those of its parameters."""

    transition_id: TransitionId
    transition_type: TransitionType
    name: str | None
    description: str | None
    parameters: dict[str, Any]
    assets: dict[str, str] | UnsetType
    timeout_in_seconds: int


class Transitions(ResponseStruct):
    """A page of transitions, with the filter that was sent."""

    transitions: list[Transition]
    next_token: str | None
    transition_type: list[TransitionType] | UnsetType = UNSET


def to_transition(row: statements.TransitionRow) -> Transition:
    """Return a transition as the API shows it."""
    return Transition(
        transition_id=row.id,
        transition_type=row.transition_type,
        name=row.name,
        description=row.description,
        parameters=row.parameters,
        assets=row.parameters.get("assets", UNSET),
        timeout_in_seconds=row.timeout_in_seconds,
        **audit(row),
    )


def transition_not_found(transition_id: TransitionId) -> NotFound:
    """Return the error for a transition that the organization does not have."""
    return NotFound(f"Transition {transition_id} not found")


class TransitionController(Controller):
    """Operations on transitions."""

    path = "/transitions"
    tags = ("Transitions",)

    @post(status_code=200, transaction="request")
    async def create_transition(
        self, data: PostTransition, caller: Caller, connection: RequestConnection
    ) -> Transition:
        """Create a transition, which is what a step of a workflow runs.

        A `docker` transition runs a container image (`imageUrl`), a `lambda` transition a function
        (`lambdaId`), and a `manual` transition is done by a person or a program that claims its executions.
        `parameters` can be left out and set later: a `docker` transition cannot be executed before its
        `imageUrl` is set, a `lambda` transition not before its `lambdaId`. Secrets and assets that
        `parameters` name have to exist (400). Functions are those that the operator of the installation
        offers; an execution of any other fails. Containers run where the operator has set up a container
        engine; without one, executions of `docker` transitions fail with a message that says so.

        `timeoutInSeconds` is from 60 to 10800; the default is 10800 for `manual` and 1800 for the others.
        Type and timeout cannot be changed later. The number of transitions is limited by the plan (429).
        """
        parameters: dict[str, Any] = {}
        if data.parameters is not UNSET:
            parameters = read_parameters(data.transition_type, data.parameters)
        timeout = data.timeout_in_seconds
        if timeout is UNSET:
            timeout = DEFAULT_TIMEOUT_IN_SECONDS[data.transition_type]
        async with connection.transaction():
            await keep_named_resources(connection, caller, parameters)
            await count(connection, caller.organization_id, "transitions")
            row = await statements.insert_transition(
                connection,
                organization_id=caller.organization_id,
                transition_id=new_id(TransitionId),
                name=data.name,
                description=data.description,
                transition_type=data.transition_type,
                parameters=parameters,
                timeout_in_seconds=timeout,
                created_by=caller.principal_id,
            )
        return to_transition(row)

    @get()
    async def list_transitions(
        self,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        transition_type: TransitionTypes = None,
    ) -> Transitions:
        """List the transitions of the organization, oldest first.

        `transitionType` limits the list to these types; it can be repeated.
        """
        rows = await statements.list_transitions(
            connection,
            organization_id=caller.organization_id,
            transition_types=transition_type,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return Transitions(
            transitions=[to_transition(row) for row in shown],
            next_token=token,
            transition_type=transition_type or UNSET,
        )

    @get("/{transition_id:str}")
    async def get_transition(
        self, transition_id: TransitionPath, caller: Caller, connection: RequestConnection
    ) -> Transition:
        """Get a transition.

        `parameters` is empty until some are set. Secrets are shown by their ids only.
        """
        row = await statements.get_transition(
            connection, organization_id=caller.organization_id, transition_id=transition_id
        )
        if row is None:
            raise transition_not_found(transition_id)
        return to_transition(row)

    @patch("/{transition_id:str}")
    async def update_transition(
        self,
        transition_id: TransitionPath,
        data: PatchTransition,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
    ) -> Transition:
        """Update a transition.

        Members that are not sent keep their value, also those inside `parameters`; `environment`,
        `environmentSecrets` and `assets` are replaced as a whole. null clears `environment`,
        `environmentSecrets` and `secretId`. Executions that have begun are not affected.

        To change `parameters`, the caller needs the permission to read the secrets and assets that they name
        then, also those that were there before (403): the image that it chooses gets them.
        """
        require_members(data)
        async with connection.transaction():
            before = await statements.lock_transition(
                connection, organization_id=caller.organization_id, transition_id=transition_id
            )
            if before is None:
                raise transition_not_found(transition_id)
            parameters = before.parameters
            if data.parameters is not UNSET:
                changes = read_parameters(before.transition_type, data.parameters, changes=True)
                await keep_named_resources(connection, caller, changes)
                parameters = merge_parameters(parameters, changes)
                require_readable(permissions, ids_in_free_object("parameters", parameters))
            row = await statements.update_transition(
                connection,
                organization_id=caller.organization_id,
                transition_id=transition_id,
                name=data.name,
                description=data.description,
                parameters=parameters,
                updated_by=caller.principal_id,
            )
        return to_transition(row)

    @delete("/{transition_id:str}", status_code=200)
    async def delete_transition(
        self, transition_id: TransitionPath, caller: Caller, connection: RequestConnection
    ) -> Transition:
        """Delete a transition, its executions and their logs.

        A transition that a workflow uses cannot be deleted (400).
        """
        organization_id = caller.organization_id
        async with connection.transaction():
            row = await statements.lock_transition(
                connection, organization_id=organization_id, transition_id=transition_id
            )
            if row is None:
                raise transition_not_found(transition_id)
            workflow_id = await statements.find_workflow_with_transition(
                connection, organization_id=organization_id, transition_id=transition_id
            )
            if workflow_id is not None:
                raise BadRequest(f"Transition {transition_id} is used by workflow {workflow_id}")
            await stop_executions(connection, organization_id, transition_id)
            await delete_logs_of_transition(
                connection, organization_id=organization_id, transition_id=transition_id
            )
            await statements.delete_transition(
                connection, organization_id=organization_id, transition_id=transition_id
            )
            await uncount(connection, organization_id, "transitions")
        return to_transition(row)
