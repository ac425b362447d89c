"""Executions of workflows. Whoever moves one on holds its row first, and only then that of a step."""

from __future__ import annotations

from db.keyset import SORT_COLUMNS, Order, SortBy, nullable_page
from db.statements import UntypedStatement
from db.statements import untyped_tenant as tenant

KEPT_EVENTS = 1000

EXECUTION_COLUMNS = """
    id, workflow_id, input, output, status, events, completed_by, log_id, completed_task_log_id, created_by,
    start_time, end_time,
    coalesce((
        SELECT jsonb_object_agg(steps.transition_id, steps.ids)
        FROM (
            SELECT step.transition_id, jsonb_agg(step.id ORDER BY step.created_time, step.id) AS ids
            FROM transition_execution AS step
            WHERE step.organization_id = $1 AND step.workflow_execution_id = workflow_execution.id
            GROUP BY step.transition_id
        ) AS steps
    ), '{}') AS transition_executions
"""

INSERT_EXECUTION = tenant(
    "workflow_executions.insert",
    """
    INSERT INTO workflow_execution (organization_id, id, workflow_id, input, log_id, created_by, start_time)
    VALUES ($1, $2, $3, $4, $5, $6, now())
    RETURNING start_time
    """,
)

GET_EXECUTION = tenant(
    "workflow_executions.get",
    f"""
    SELECT {EXECUTION_COLUMNS} FROM workflow_execution
    WHERE organization_id = $1 AND workflow_id = $2 AND id = $3
    """,
)


def _list(sort_by: SortBy, order: Order) -> UntypedStatement:
    filters = """
        organization_id = $1 AND workflow_id = $2
        AND ($3::text[] IS NULL OR status = ANY($3))
        AND start_time >= coalesce($4::timestamptz, '-infinity')
        AND start_time <= coalesce($5::timestamptz, 'infinity')
    """
    return tenant(
        f"workflow_executions.list_by_{sort_by}_{order}",
        nullable_page(
            EXECUTION_COLUMNS,
            "workflow_execution",
            filters,
            column=SORT_COLUMNS[sort_by],
            order=order,
            time="$6",
            identifier="$7",
            limit="$8",
            large=("input", "output", "events", "transition_executions"),
        ),
    )


LIST_EXECUTIONS: dict[tuple[SortBy, Order], UntypedStatement] = {
    ("startTime", "ascending"): _list("startTime", "ascending"),
    ("startTime", "descending"): _list("startTime", "descending"),
    ("endTime", "ascending"): _list("endTime", "ascending"),
    ("endTime", "descending"): _list("endTime", "descending"),
}

LOCK_EXECUTION = tenant(
    "workflow_executions.lock",
    """
    SELECT execution.id, execution.workflow_id, execution.input, execution.state, execution.status,
        execution.log_id, execution.start_time, workflow.definition, workflow.error_config,
        workflow.status AS workflow_status
    FROM workflow_execution AS execution JOIN workflow ON workflow.id = execution.workflow_id
    WHERE execution.organization_id = $1 AND execution.id = $2
    FOR UPDATE OF execution
    """,
)

ENTER_STATE = tenant(
    "workflow_executions.enter_state",
    """
    UPDATE workflow_execution SET state = $3, status = 'running' WHERE organization_id = $1 AND id = $2
    """,
)

# It waits until somebody says how it goes on.
AWAIT_RETRY = tenant(
    "workflow_executions.await_retry",
    "UPDATE workflow_execution SET status = 'retry' WHERE organization_id = $1 AND id = $2",
)

END_EXECUTION = tenant(
    "workflow_executions.end",
    """
    UPDATE workflow_execution SET status = $3, output = $4, end_time = now()
    WHERE organization_id = $1 AND id = $2
    RETURNING end_time
    """,
)

# The newest ones are kept: an execution can go round for as long as its plan allows.
ADD_EVENT = tenant(
    "workflow_executions.add_event",
    f"""
    UPDATE workflow_execution SET
        events = CASE WHEN jsonb_array_length(events) < {KEPT_EVENTS} THEN events ELSE events - 0 END
            || jsonb_build_array($3::jsonb)
    WHERE organization_id = $1 AND id = $2
    """,
)

# Succeeded and completed are the two sides of the same end; whoever completes it is remembered.
COMPLETE_EXECUTION = tenant(
    "workflow_executions.complete",
    """
    UPDATE workflow_execution SET
        status = $4,
        completed_by = CASE
            WHEN $4 = 'completed' AND NOT completed_by ? $5 THEN completed_by || to_jsonb($5::text)
            ELSE completed_by
        END
    WHERE organization_id = $1 AND workflow_id = $2 AND id = $3 AND status IN ('succeeded', 'completed')
    """,
)

DELETE_EXECUTION = tenant(
    "workflow_executions.delete", "DELETE FROM workflow_execution WHERE organization_id = $1 AND id = $2"
)
