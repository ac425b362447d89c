"""Executions of transitions: steps of workflows, and those that were started alone.

One of a manual transition waits until it is claimed. A claim holds while heartbeats come; without them for
a minute it waits again, which the next claim finds out. ``heartbeat_time`` is null where none are expected.
"""

from __future__ import annotations

from db.keyset import SORT_COLUMNS, Order, SortBy, nullable_page
from db.statements import UntypedStatement
from db.statements import untyped_tenant as tenant

EXECUTION_COLUMNS = """
    id, transition_id, input, output, status, completed_by, log_id, start_time, end_time
"""

# A manual one begins when it is claimed, the others are due after $9 seconds. $10 is the state's own timeout.
INSERT_EXECUTION = tenant(
    "transition_executions.insert",
    f"""
    INSERT INTO transition_execution (
        organization_id, id, transition_id, workflow_execution_id, state, attempt, input, log_id,
        created_time, start_time, expires
    )
    SELECT $1, $2, transition.id, $4, $5, $6, $7, $8, now(),
        CASE WHEN transition.transition_type <> 'manual' THEN now() + make_interval(secs => $9) END,
        CASE WHEN transition.transition_type <> 'manual'
            THEN now() + make_interval(secs => $9 + coalesce($10::integer, transition.timeout_in_seconds))
        END
    FROM transition WHERE transition.organization_id = $1 AND transition.id = $3
    RETURNING {EXECUTION_COLUMNS}
    """,
)

GET_EXECUTION = tenant(
    "transition_executions.get",
    f"""
    SELECT {EXECUTION_COLUMNS} FROM transition_execution
    WHERE organization_id = $1 AND transition_id = $2 AND id = $3
    """,
)


def _list(sort_by: SortBy, order: Order) -> UntypedStatement:
    filters = """
        organization_id = $1 AND transition_id = $2
        AND ($3::text[] IS NULL OR status = ANY($3))
        AND ($4::text[] IS NULL OR id = ANY($4))
    """
    return tenant(
        f"transition_executions.list_by_{sort_by}_{order}",
        nullable_page(
            EXECUTION_COLUMNS,
            "transition_execution",
            filters,
            column=SORT_COLUMNS[sort_by],
            order=order,
            time="$5",
            identifier="$6",
            limit="$7",
            large=("input", "output"),
        ),
    )


LIST_EXECUTIONS: dict[tuple[SortBy, Order], UntypedStatement] = {
    ("startTime", "ascending"): _list("startTime", "ascending"),
    ("startTime", "descending"): _list("startTime", "descending"),
    ("endTime", "ascending"): _list("endTime", "ascending"),
    ("endTime", "descending"): _list("endTime", "descending"),
}

# The oldest that waits. A claim has lapsed when no heartbeat came for a minute, unless it timed out before.
CLAIM_EXECUTION = tenant(
    "transition_executions.claim",
    f"""
    UPDATE transition_execution AS execution SET
        claimed_by = $3, claimed_time = now(), start_time = now(), heartbeat_time = now(),
        expires = now() + make_interval(secs => coalesce(
            (
                SELECT workflow.definition #>> ARRAY['States', execution.state, 'TimeoutSeconds']
                FROM workflow_execution JOIN workflow ON workflow.id = workflow_execution.workflow_id
                WHERE workflow_execution.organization_id = $1
                    AND workflow_execution.id = execution.workflow_execution_id
            )::double precision,
            (SELECT timeout_in_seconds FROM transition WHERE organization_id = $1 AND id = $2)
        ))
    WHERE execution.organization_id = $1 AND execution.id = (
        SELECT id FROM transition_execution
        WHERE organization_id = $1 AND transition_id = $2 AND status = 'running'
            AND (
                claimed_by IS NULL
                OR (
                    heartbeat_time < now() - interval '60 seconds'
                    AND heartbeat_time + interval '60 seconds' <= expires
                )
            )
        ORDER BY created_time, id LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING {EXECUTION_COLUMNS}
    """,
)

BEAT = tenant(
    "transition_executions.beat",
    """
    UPDATE transition_execution SET
        heartbeat_time = CASE WHEN heartbeat_time IS NOT NULL THEN now() END
    WHERE organization_id = $1 AND transition_id = $2 AND id = $3
        AND status = 'running' AND (expires IS NULL OR expires >= now())
    """,
)

# The execution that it is a step of, to be held before the step itself.
WORKFLOW_EXECUTION_OF = tenant(
    "transition_executions.workflow_execution_of",
    """
    SELECT workflow_execution_id FROM transition_execution
    WHERE organization_id = $1 AND transition_id = $2 AND id = $3
    """,
)

LOCK_EXECUTION = tenant(
    "transition_executions.lock",
    """
    SELECT id, transition_id, workflow_execution_id, state, attempt, input, status, claimed_by, log_id,
        claimed_time, coalesce(expires < now(), false) AS timed_out
    FROM transition_execution WHERE organization_id = $1 AND id = $2
    FOR UPDATE
    """,
)

# The newest step of a workflow's execution: where it stands.
LOCK_NEWEST_STEP = tenant(
    "transition_executions.lock_newest_step",
    """
    SELECT id, input, output, status, claimed_by, claimed_time, log_id
    FROM transition_execution WHERE organization_id = $1 AND workflow_execution_id = $2
    ORDER BY created_time DESC, id DESC LIMIT 1
    FOR UPDATE
    """,
)

SET_START = tenant(
    "transition_executions.set_start",
    "UPDATE transition_execution SET start_time = $3 WHERE organization_id = $1 AND id = $2",
)

END_EXECUTION = tenant(
    "transition_executions.end",
    """
    UPDATE transition_execution SET
        status = $3, output = $4, error = $5, completed_by = $6, end_time = now()
    WHERE organization_id = $1 AND id = $2
    RETURNING end_time
    """,
)
