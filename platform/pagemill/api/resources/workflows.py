"""Workflows: ``/workflows``."""

from __future__ import annotations

from typing import Any, Literal

import asyncpg
from litestar import Controller, delete, get, patch, post
from msgspec import UNSET, UnsetType

from db import workflows as statements
from db.logs import DELETE_LOGS_OF_WORKFLOW
from db.statements import Connection
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
    change,
    checked_metadata,
    require_members,
)
from pagemill.api.resources.references import keep_transitions
from pagemill.api.resources.workflow_configs import (
    CompletedConfig,
    EmailConfig,
    ErrorConfig,
    keep_config_secrets,
    read_completed_config,
    read_email_config,
    stored,
)
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import WorkflowId, new_id
from pagemill.usage.counting import count, forget_workflow, uncount
from pagemill.usage.meters import current_month
from pagemill.workflows.definition import read_definition

WorkflowStatus = Literal["development", "production"]


class Specification(RequestStruct):
    """A part of the Amazon States Language: Task, Choice, Pass, Succeed and Fail."""

    definition: dict[str, Any]
    language: Literal["ASL"] = "ASL"
    version: Literal["1.0.0"] = "1.0.0"


class PostWorkflow(RequestStruct):
    specification: Specification
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    status: WorkflowStatus = "development"
    completed_config: CompletedConfig | UnsetType = UNSET
    error_config: ErrorConfig | UnsetType = UNSET
    email_config: EmailConfig | UnsetType = UNSET


class PatchWorkflow(RequestStruct):
    """null takes the mail address away. What is sent of the other configurations replaces them."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    status: WorkflowStatus | UnsetType = UNSET
    completed_config: CompletedConfig | UnsetType = UNSET
    error_config: ErrorConfig | UnsetType = UNSET
    email_config: EmailConfig | UnsetType | None = UNSET


class Workflow(Audited, kw_only=True):
    workflow_id: str
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
    workflows: list[Workflow]
    next_token: str | None


def to_workflow(row: asyncpg.Record) -> Workflow:
    return Workflow(
        workflow_id=row["id"],
        name=row["name"],
        description=row["description"],
        metadata=row["metadata"],
        status=row["status"],
        completed_config=row["completed_config"],
        error_config=row["error_config"],
        email_config=row["email_config"],
        number_of_running_executions=row["running"],
        monthly_number_of_workflow_executions_created=row["executions_created"],
        monthly_number_of_workflow_executions_allowed=row["executions_allowed"],
        **audit(row),
    )


def workflow_not_found(workflow_id: str) -> NotFound:
    return NotFound(f"Workflow {workflow_id} not found")


async def find_workflow(
    connection: Connection, caller: Caller, app_state: AppState, workflow_id: str
) -> asyncpg.Record:
    """The row that is shown. Raises NotFound."""
    row = await statements.GET_WORKFLOW.fetch_one(
        connection, caller.organization_id, workflow_id, *_allowance(app_state)
    )
    if row is None:
        raise workflow_not_found(workflow_id)
    return row


def _allowance(app_state: AppState) -> tuple[str, int]:
    """What the statements take for the monthly counters."""
    return current_month(), app_state.settings.development_workflow_executions


class WorkflowController(Controller):
    path = "/workflows"
    tags = ("Workflows",)

    @post(status_code=200, transaction="request")
    async def create_workflow(
        self, data: PostWorkflow, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Workflow:
        definition = read_definition(data.specification.definition)
        metadata = checked_metadata(data.metadata)
        completed_config = read_completed_config(data.completed_config)
        email_config = read_email_config(data.email_config, domain=app_state.settings.mail_domain)
        async with connection.transaction():
            await keep_transitions(connection, caller, definition.transitions())
            await keep_config_secrets(connection, caller, completed_config, email_config)
            await count(connection, caller.organization_id, "workflows")
            row = await statements.INSERT_WORKFLOW.fetch_one(
                connection,
                caller.organization_id,
                new_id(WorkflowId),
                data.name,
                data.description,
                metadata,
                data.specification.definition,
                completed_config,
                None if data.error_config is UNSET else stored(data.error_config),
                email_config,
                data.status,
                caller.principal_id,
                *_allowance(app_state),
            )
        assert row is not None
        return to_workflow(row)

    @get()
    async def list_workflows(
        self, caller: Caller, connection: RequestConnection, app_state: AppState, page: PageRequest
    ) -> Workflows:
        rows = await statements.LIST_WORKFLOWS.fetch(
            connection, caller.organization_id, *page.after, page.limit, *_allowance(app_state)
        )
        shown, token = cut(rows, page)
        return Workflows(workflows=[to_workflow(row) for row in shown], next_token=token)

    @get("/{workflow_id:str}")
    async def get_workflow(
        self, workflow_id: str, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Workflow:
        return to_workflow(await find_workflow(connection, caller, app_state, workflow_id))

    @patch("/{workflow_id:str}")
    async def update_workflow(
        self,
        workflow_id: str,
        data: PatchWorkflow,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Workflow:
        require_members(data)
        metadata = checked_metadata(data.metadata)
        completed_config = read_completed_config(data.completed_config)
        async with connection.transaction():
            before = await statements.LOCK_WORKFLOW.fetch_one(connection, caller.organization_id, workflow_id)
            if before is None:
                raise workflow_not_found(workflow_id)
            email_config = read_email_config(
                data.email_config, domain=app_state.settings.mail_domain, before=before["email_config"]
            )
            await keep_config_secrets(connection, caller, completed_config, email_config)
            row = await statements.UPDATE_WORKFLOW.fetch_one(
                connection,
                caller.organization_id,
                workflow_id,
                *change(data.name),
                *change(data.description),
                *change(metadata),
                completed_config,
                None if data.error_config is UNSET else stored(data.error_config),
                data.email_config is not UNSET,
                email_config,
                None if data.status is UNSET else data.status,
                caller.principal_id,
                *_allowance(app_state),
            )
        assert row is not None
        return to_workflow(row)

    @delete("/{workflow_id:str}", status_code=200)
    async def delete_workflow(
        self, workflow_id: str, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Workflow:
        """A workflow that is running stays; its executions and logs go with it."""
        organization_id = caller.organization_id
        async with connection.transaction():
            if await statements.LOCK_WORKFLOW.fetch_one(connection, organization_id, workflow_id) is None:
                raise workflow_not_found(workflow_id)
            row = await find_workflow(connection, caller, app_state, workflow_id)
            if row["running"]:
                raise BadRequest(f"Workflow {workflow_id} has {row['running']} running executions")
            await DELETE_LOGS_OF_WORKFLOW.execute(connection, organization_id, workflow_id)
            await statements.DELETE_WORKFLOW.execute(connection, organization_id, workflow_id)
            await forget_workflow(connection, organization_id, WorkflowId(workflow_id))
            await uncount(connection, organization_id, "workflows")
        return to_workflow(row)
