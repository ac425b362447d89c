"""REST resource ``/workflows``: state machines of transitions."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from db import workflows as statements
from db.logs import delete_logs_of_workflow
from db.statements import Connection
from db.workflows import WorkflowStatus
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    Metadata,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    checked_metadata,
    require_members,
)
from pagemill.api.resources.ids_in_bodies import keep_transitions
from pagemill.api.resources.workflow_configs import (
    CompletedConfig,
    EmailConfig,
    ErrorConfig,
    check_allowed_origins,
    keep_config_secrets,
    read_completed_config,
    read_email_config,
    stored,
)
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import WorkflowId, new_id
from pagemill.usage.counting import count, forget_workflow, uncount
from pagemill.usage.meters import current_month
from pagemill.workflows.judging import read_definition
from pagemill.workflows.large_definitions import read_beside_the_loop

WorkflowPath = Annotated[WorkflowId, Parameter(description="las:workflow:<32 hexadecimal digits>")]


class Specification(RequestStruct):
    """A state machine in a subset of the Amazon States Language: Task, Choice, Pass, Succeed and Fail."""

    definition: dict[str, Any]
    language: Literal["ASL"] = "ASL"
    version: Literal["1.0.0"] = "1.0.0"


class PostWorkflow(RequestStruct):
    """A new workflow."""

    specification: Specification
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    status: WorkflowStatus = "development"
    completed_config: CompletedConfig | UnsetType = UNSET
    error_config: ErrorConfig | UnsetType = UNSET
    email_config: EmailConfig | UnsetType = UNSET


class PatchWorkflow(RequestStruct):
    """Changes of a workflow; a configuration that is sent replaces the former as a whole."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    status: WorkflowStatus | UnsetType = UNSET
    completed_config: CompletedConfig | UnsetType = UNSET
    error_config: ErrorConfig | UnsetType = UNSET
    email_config: EmailConfig | UnsetType | None = UNSET


class Workflow(Audited, kw_only=True):
    """A workflow without its definition, and the numbers of its executions."""

    workflow_id: WorkflowId
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    status: WorkflowStatus
    completed_config: dict[str, Any] | None
    error_config: dict[str, Any] | None
    email_config: dict[str, Any] | None
    number_of_running_executions: int
    monthly_number_of_workflow_executions_created: int
    monthly_number_of_workflow_executions_allowed: int


class Workflows(ResponseStruct):
    """A page of workflows."""

    workflows: list[Workflow]
    next_token: str | None


class Allowance(TypedDict):
    """Parameters of statements that show the monthly counters of workflows."""

    month: str
    development_allowance: int


def to_workflow(row: statements.WorkflowRow) -> Workflow:
    """Return a workflow as the API shows it."""
    return Workflow(
        workflow_id=row.id,
        name=row.name,
        description=row.description,
        metadata=row.metadata,
        status=row.status,
        completed_config=row.completed_config,
        error_config=row.error_config,
        email_config=row.email_config,
        number_of_running_executions=row.running,
        monthly_number_of_workflow_executions_created=row.executions_created,
        monthly_number_of_workflow_executions_allowed=row.executions_allowed,
        **audit(row),
    )


def workflow_not_found(workflow_id: WorkflowId) -> NotFound:
    """Return the error for a workflow that the organization does not have."""
    return NotFound(f"Workflow {workflow_id} not found")


async def find_workflow(
    connection: Connection, caller: Caller, app_state: AppState, workflow_id: WorkflowId
) -> statements.WorkflowRow:
    """Return a workflow. Raises NotFound."""
    row = await statements.get_workflow(
        connection,
        organization_id=caller.organization_id,
        workflow_id=workflow_id,
        **_allowance(app_state),
    )
    if row is None:
        raise workflow_not_found(workflow_id)
    return row


def _allowance(app_state: AppState) -> Allowance:
    return Allowance(
        month=current_month(), development_allowance=app_state.settings.development_workflow_executions
    )


class WorkflowController(Controller):
    """Operations on workflows."""

    path = "/workflows"
    tags = ("Workflows",)

    @post(status_code=200, transaction="request")
    async def create_workflow(
        self, data: PostWorkflow, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Workflow:
        """Create a workflow.

        A workflow is a state machine whose tasks are transitions. `specification.definition` is written in
        the Amazon States Language (with JSONPath): the states `Task`, `Choice`, `Pass`, `Wait`, `Succeed`,
        `Fail`, `Parallel` and `Map`, filters of input and output, `Retry`, `Catch` and intrinsic functions.
        The `Resource` of a task is the id of a transition; the output of a state is the input of the next,
        and the last output is that of the execution. States and transitions that the definition names have to
        exist, each state leads to an end, and no circle is without a `Task` or `Wait` (400). The definition
        has at most 256 KiB. It is not shown again and cannot be changed.

        With `errorConfig.manualRetry` a failed execution gets the status `retry` and waits for its next
        transition, and `errorConfig.email` is an address that is told of failures. This version does
        not run the container of `completedConfig`.

        With `emailConfig` the workflow gets a mail address, which the server chooses. Each PDF, JPEG, PNG or
        TIFF that is attached to a mail to it becomes a document, and starts an execution whose input is
        `additionalWorkflowInput` with `documentId` and `email`: `subject`, `origin`, `body`, and what SPF and
        DKIM say of the sender in `authentication`. The app client whose `clientId` and `clientSecret` are in
        the secret `secretId` starts them. Mail is ignored whose sender matches none of `allowedOrigins`; each
        is a regular expression (RE2) for the whole address.

        A workflow with the status `development` (the default) may start a small number of executions a
        month; those of one in `production` are limited by the plan. The number of workflows is limited by
        the plan (429).
        """
        definition, _ = await read_beside_the_loop(read_definition, data.specification.definition)
        metadata = checked_metadata(data.metadata)
        completed_config = read_completed_config(data.completed_config)
        await check_allowed_origins(data.email_config)
        email_config = read_email_config(data.email_config, domain=app_state.settings.mail_domain)
        async with connection.transaction():
            await keep_transitions(connection, caller, definition.transitions())
            await keep_config_secrets(connection, caller, completed_config, email_config)
            await count(connection, caller.organization_id, "workflows")
            row = await statements.insert_workflow(
                connection,
                organization_id=caller.organization_id,
                workflow_id=new_id(WorkflowId),
                name=data.name,
                description=data.description,
                metadata=metadata,
                definition=data.specification.definition,
                completed_config=completed_config,
                error_config=None if data.error_config is UNSET else stored(data.error_config),
                email_config=email_config,
                status=data.status,
                created_by=caller.principal_id,
                **_allowance(app_state),
            )
        return to_workflow(row)

    @get()
    async def list_workflows(
        self, caller: Caller, connection: RequestConnection, app_state: AppState, page: PageRequest
    ) -> Workflows:
        """List the workflows of the organization, oldest first.

        Their definitions are not shown.
        """
        rows = await statements.list_workflows(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
            **_allowance(app_state),
        )
        shown, token = cut(rows, page)
        return Workflows(workflows=[to_workflow(row) for row in shown], next_token=token)

    @get("/{workflow_id:str}")
    async def get_workflow(
        self, workflow_id: WorkflowPath, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Workflow:
        """Get a workflow.

        ``numberOfRunningExecutions`` counts the executions that have not ended,
        ``monthlyNumberOfWorkflowExecutionsCreated`` those that have started this month. Months begin at 00:00
        UTC.
        """
        return to_workflow(await find_workflow(connection, caller, app_state, workflow_id))

    @patch("/{workflow_id:str}")
    async def update_workflow(
        self,
        workflow_id: WorkflowPath,
        data: PatchWorkflow,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Workflow:
        """Update a workflow.

        Members that are not sent keep their value; a configuration that is sent replaces the former as a
        whole. null clears name, description, metadata and `emailConfig`, which gives the mail address up.
        The definition cannot be changed: create a new workflow instead.
        """
        require_members(data)
        metadata = checked_metadata(data.metadata)
        completed_config = read_completed_config(data.completed_config)
        await check_allowed_origins(data.email_config)
        async with connection.transaction():
            before = await statements.lock_workflow(
                connection, organization_id=caller.organization_id, workflow_id=workflow_id
            )
            if before is None:
                raise workflow_not_found(workflow_id)
            email_config = read_email_config(
                data.email_config, domain=app_state.settings.mail_domain, before=before.email_config
            )
            await keep_config_secrets(connection, caller, completed_config, email_config)
            row = await statements.update_workflow(
                connection,
                organization_id=caller.organization_id,
                workflow_id=workflow_id,
                name=data.name,
                description=data.description,
                metadata=metadata,
                completed_config=completed_config,
                error_config=None if data.error_config is UNSET else stored(data.error_config),
                email_config=UNSET if data.email_config is UNSET else email_config,
                status=data.status,
                updated_by=caller.principal_id,
                **_allowance(app_state),
            )
        return to_workflow(row)

    @delete("/{workflow_id:str}", status_code=200)
    async def delete_workflow(
        self, workflow_id: WorkflowPath, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Workflow:
        """Delete a workflow, its executions and their logs.

        A workflow with running executions cannot be deleted (400). Its transitions stay.
        """
        organization_id = caller.organization_id
        async with connection.transaction():
            locked = await statements.lock_workflow(
                connection, organization_id=organization_id, workflow_id=workflow_id
            )
            if locked is None:
                raise workflow_not_found(workflow_id)
            row = await find_workflow(connection, caller, app_state, workflow_id)
            if row.running:
                raise BadRequest(f"Workflow {workflow_id} has {row.running} running executions")
            await delete_logs_of_workflow(
                connection, organization_id=organization_id, workflow_id=workflow_id
            )
            await statements.delete_workflow(
                connection, organization_id=organization_id, workflow_id=workflow_id
            )
            await forget_workflow(connection, organization_id, workflow_id)
            await uncount(connection, organization_id, "workflows")
        return to_workflow(row)
