"""Workflows: state machines of transitions, with what is counted of their executions."""

from __future__ import annotations

from db.keyset import within_bytes
from db.statements import untyped_tenant as tenant


def _shown(month: str, development: str) -> str:
    """The columns that the API shows; the definition is never one of them.

    ``month`` and ``development`` are the parameters with the current month and what a workflow in
    development may start in it; the others may start what the plan allows the organization.
    """
    return f"""
    workflow.id, workflow.name, workflow.description, workflow.metadata, workflow.completed_config,
    workflow.error_config, workflow.email_config, workflow.status, workflow.created_time,
    workflow.created_by, workflow.updated_time, workflow.updated_by,
    (
        SELECT count(*) FROM workflow_execution AS execution
        WHERE execution.organization_id = $1 AND execution.workflow_id = workflow.id
            AND execution.status = 'running'
    ) AS running,
    coalesce((
        SELECT used FROM usage_counter AS counter
        WHERE counter.organization_id = $1 AND counter.month = {month}
            AND counter.meter = 'workflow-executions ' || workflow.id
    ), 0)::bigint AS executions_created,
    CASE
        WHEN workflow.status = 'development' THEN {development}::bigint
        ELSE coalesce((
            SELECT (plan.allowed ->> 'workflow-executions')::numeric
            FROM organization JOIN plan ON plan.id = organization.plan_id
            WHERE organization.id = $1
        ), 2000000000)::bigint
    END AS executions_allowed
    """


INSERT_WORKFLOW = tenant(
    "workflows.insert",
    f"""
    INSERT INTO workflow (
        organization_id, id, name, description, metadata, definition, completed_config, error_config,
        email_config, status, created_by, created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())
    RETURNING {_shown("$12", "$13")}
    """,
)

GET_WORKFLOW = tenant(
    "workflows.get",
    f"SELECT {_shown('$3', '$4')} FROM workflow WHERE workflow.organization_id = $1 AND workflow.id = $2",
)

LIST_WORKFLOWS = tenant(
    "workflows.list",
    within_bytes(
        f"""
    SELECT {_shown("$5", "$6")} FROM workflow
    WHERE workflow.organization_id = $1
        AND (workflow.created_time, workflow.id)
            > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    ORDER BY workflow.created_time, workflow.id LIMIT $4
    """,
        "completed_config",
        "email_config",
        order="created_time, id",
    ),
)

# Whoever changes or deletes a workflow holds its row.
LOCK_WORKFLOW = tenant(
    "workflows.lock", "SELECT email_config FROM workflow WHERE organization_id = $1 AND id = $2 FOR UPDATE"
)

# A member that is not sent keeps its value: NULL says so where null is no value, a flag where it is one.
UPDATE_WORKFLOW = tenant(
    "workflows.update",
    f"""
    UPDATE workflow SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        metadata = CASE WHEN $7 THEN $8 ELSE metadata END,
        completed_config = coalesce($9, completed_config),
        error_config = coalesce($10, error_config),
        email_config = CASE WHEN $11 THEN $12 ELSE email_config END,
        status = coalesce($13, status),
        updated_time = now(), updated_by = $14
    WHERE workflow.organization_id = $1 AND workflow.id = $2
    RETURNING {_shown("$15", "$16")}
    """,
)

WORKFLOW_EXISTS = tenant(
    "workflows.exists", "SELECT true FROM workflow WHERE organization_id = $1 AND id = $2"
)

# Whoever starts an execution holds it, so that the workflow is not deleted in between.
KEEP_WORKFLOW = tenant(
    "workflows.keep",
    """
    SELECT definition, error_config, status FROM workflow
    WHERE organization_id = $1 AND id = $2 FOR KEY SHARE
    """,
)

DELETE_WORKFLOW = tenant("workflows.delete", "DELETE FROM workflow WHERE organization_id = $1 AND id = $2")
