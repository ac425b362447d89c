"""Workflows: state machines of transitions, and the numbers of their executions."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UnsetType

from db.keyset import within_bytes
from db.plan_limits import allowed_by_plan
from db.statements import Connection, NeverNull, Row, RowCount, columns, tenant
from db.usage import WORKFLOW_METER_PREFIX
from db.webhooks import EVENT_TYPES
from pagemill.ids import OrganizationId, PrincipalId, WorkflowId

WorkflowStatus: TypeAlias = Literal["development", "production"]


class WorkflowRow(Row):
    """A workflow without its definition, which is never shown."""

    id: WorkflowId
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    completed_config: dict[str, Any] | None
    error_config: dict[str, Any] | None
    email_config: dict[str, Any] | None
    status: WorkflowStatus
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None
    running: Annotated[int, NeverNull("count(*)")]
    executions_created: Annotated[int, NeverNull("0 when none was counted")]
    executions_allowed: Annotated[int, NeverNull("a large number without a limit")]


class ListedWorkflowRow(WorkflowRow):
    """A workflow in a page that may have fewer rows than the limit."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class WorkflowEmailRow(Row):
    """The part of a workflow's configuration that a change keeps: the server has chosen its address."""

    email_config: dict[str, Any] | None


class WorkflowToStartRow(Row):
    """The members of a workflow that its executions depend on, but for its definition."""

    name: str | None
    error_config: dict[str, Any] | None
    status: WorkflowStatus
    now: Annotated[datetime.datetime, NeverNull("now()")]
    has_completed_task: Annotated[bool, NeverNull("whether it is null")]
    events_wanted: Annotated[bool, NeverNull("EXISTS")]
    """True when a webhook wants events of executions."""


def events_wanted(organization: str) -> str:
    """Return an SQL expression: whether a webhook of the organization wants any event of executions."""
    return f"""EXISTS (
        SELECT FROM webhook
        WHERE webhook.organization_id = {organization} AND webhook.status = 'enabled'
            AND webhook.event_types ?| ARRAY[{_EVENTS}]
    )"""


_EVENTS = ", ".join(f"'{one}'" for one in EVENT_TYPES if one.startswith("workflowExecution."))
TO_START = columns(
    WorkflowToStartRow,
    now="now()",
    has_completed_task="completed_config IS NOT NULL",
    events_wanted=events_wanted(":organization_id"),
)


# ``:month`` is the current month, ``:development_allowance`` the number of executions that a workflow in
# development may start in it; the others may start as many as the plan allows the organization.
WORKFLOW = columns(
    WorkflowRow,
    "workflow",
    running="""(
        SELECT count(*) FROM workflow_execution AS execution
        WHERE execution.organization_id = :organization_id AND execution.workflow_id = workflow.id
            AND execution.status = 'running'
    )""",
    executions_created=f"""coalesce((
        SELECT used FROM usage_counter AS counter
        WHERE counter.organization_id = :organization_id AND counter.month = :month
            AND counter.meter = '{WORKFLOW_METER_PREFIX}' || workflow.id
    ), 0)::bigint""",
    executions_allowed=f"""CASE
        WHEN workflow.status = 'development' THEN :development_allowance::bigint
        ELSE (
            SELECT {allowed_by_plan("'workflow-executions'")}
            FROM organization LEFT JOIN plan ON plan.id = organization.plan_id
            WHERE organization.id = :organization_id
        )::bigint
    END""",
)


@tenant(f"""
    INSERT INTO workflow (
        organization_id, id, name, description, metadata, definition, completed_config, error_config,
        email_config, status, created_by, created_time
    )
    VALUES (
        :organization_id, :workflow_id, :name, :description, :metadata, :definition, :completed_config,
        :error_config, :email_config, :status, :created_by, now()
    )
    RETURNING {WORKFLOW}
""")
async def insert_workflow(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    name: str | None,
    description: str | None,
    metadata: Mapping[str, Any] | None,
    definition: Mapping[str, Any],
    completed_config: Mapping[str, Any] | None,
    error_config: Mapping[str, Any] | None,
    email_config: Mapping[str, Any] | None,
    status: WorkflowStatus,
    created_by: PrincipalId,
    month: str,
    development_allowance: int,
) -> WorkflowRow:
    """Add a workflow."""


@tenant(f"""
    SELECT {WORKFLOW} FROM workflow
    WHERE workflow.organization_id = :organization_id AND workflow.id = :workflow_id
""")
async def get_workflow(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    month: str,
    development_allowance: int,
) -> WorkflowRow | None:
    """Return a workflow."""


@tenant(
    within_bytes(
        f"""
        SELECT {WORKFLOW} FROM workflow
        WHERE workflow.organization_id = :organization_id
            AND (workflow.created_time, workflow.id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY workflow.created_time, workflow.id LIMIT :limit
        """,
        "completed_config",
        "email_config",
        order="created_time, id",
        columns=columns(WorkflowRow),
    )
)
async def list_workflows(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
    month: str,
    development_allowance: int,
) -> list[ListedWorkflowRow]:
    """Return a page of workflows, oldest first."""


@tenant(f"""
    SELECT {columns(WorkflowEmailRow)} FROM workflow
    WHERE organization_id = :organization_id AND id = :workflow_id FOR UPDATE
""")
async def lock_workflow(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId
) -> WorkflowEmailRow | None:
    """Lock a workflow until the transaction ends, to change or delete it."""


@tenant(f"""
    UPDATE workflow SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        metadata = CASE WHEN :metadata_sent THEN :metadata ELSE metadata END,
        completed_config = coalesce(:completed_config, completed_config),
        error_config = coalesce(:error_config, error_config),
        email_config = CASE WHEN :email_config_sent THEN :email_config ELSE email_config END,
        status = coalesce(:status, status),
        updated_time = now(), updated_by = :updated_by
    WHERE workflow.organization_id = :organization_id AND workflow.id = :workflow_id
    RETURNING {WORKFLOW}
""")
async def update_workflow(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    metadata: dict[str, Any] | UnsetType | None,
    completed_config: Mapping[str, Any] | None,
    error_config: Mapping[str, Any] | None,
    email_config: dict[str, Any] | UnsetType | None,
    status: WorkflowStatus | UnsetType,
    updated_by: PrincipalId,
    month: str,
    development_allowance: int,
) -> WorkflowRow:
    """Change what is sent of a workflow whose row is locked; a configuration is replaced as a whole."""


@tenant("SELECT id FROM workflow WHERE organization_id = :organization_id AND id = :workflow_id")
async def find_workflow_id(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId
) -> WorkflowId | None:
    """Return the id if the organization has this workflow."""


@tenant(f"""
    SELECT {TO_START} FROM workflow
    WHERE organization_id = :organization_id AND id = :workflow_id FOR KEY SHARE
""")
async def keep_workflow(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId
) -> WorkflowToStartRow | None:
    """Return a workflow to start, and keep it from being deleted until the transaction ends."""


@tenant("SELECT definition FROM workflow WHERE organization_id = :organization_id AND id = :workflow_id")
async def get_definition(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId
) -> dict[str, Any]:
    """Return the definition of a workflow, which never changes."""


@tenant("DELETE FROM workflow WHERE organization_id = :organization_id AND id = :workflow_id")
async def delete_workflow(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId
) -> RowCount:
    """Delete a workflow with its executions."""
