"""Transitions: what a step of a workflow runs."""

from __future__ import annotations

from db.keyset import within_bytes
from db.statements import untyped_tenant as tenant

TRANSITION_COLUMNS = """
    id, name, description, transition_type, parameters, timeout_in_seconds, created_time, created_by,
    updated_time, updated_by
"""

INSERT_TRANSITION = tenant(
    "transitions.insert",
    f"""
    INSERT INTO transition (
        organization_id, id, name, description, transition_type, parameters, timeout_in_seconds, created_by,
        created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
    RETURNING {TRANSITION_COLUMNS}
    """,
)

GET_TRANSITION = tenant(
    "transitions.get", f"SELECT {TRANSITION_COLUMNS} FROM transition WHERE organization_id = $1 AND id = $2"
)

LIST_TRANSITIONS = tenant(
    "transitions.list",
    within_bytes(
        f"""
    SELECT {TRANSITION_COLUMNS} FROM transition
    WHERE organization_id = $1
        AND ($2::text[] IS NULL OR transition_type = ANY($2))
        AND (created_time, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
    ORDER BY created_time, id LIMIT $5
    """,
        "parameters",
        order="created_time, id",
    ),
)

LOCK_TRANSITION = tenant(
    "transitions.lock",
    f"SELECT {TRANSITION_COLUMNS} FROM transition WHERE organization_id = $1 AND id = $2 FOR UPDATE",
)

# The parameters are merged by whoever holds the row's lock.
UPDATE_TRANSITION = tenant(
    "transitions.update",
    f"""
    UPDATE transition SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        parameters = $7,
        updated_time = now(), updated_by = $8
    WHERE organization_id = $1 AND id = $2
    RETURNING {TRANSITION_COLUMNS}
    """,
)

WORKFLOW_THAT_USES = tenant(
    "transitions.workflow_that_uses",
    """
    SELECT id FROM workflow
    WHERE organization_id = $1
        AND jsonb_path_exists(
            definition, '$.States.*.Resource ? (@ == $resource)', jsonb_build_object('resource', $2::text)
        )
    ORDER BY created_time, id LIMIT 1
    """,
)

DELETE_TRANSITION = tenant(
    "transitions.delete", "DELETE FROM transition WHERE organization_id = $1 AND id = $2"
)

# Whoever refers to them holds these, so that they are not deleted in between.
KEEP_TRANSITIONS = tenant(
    "transitions.keep",
    """
    SELECT id FROM transition WHERE organization_id = $1 AND id = ANY($2::text[])
    ORDER BY id FOR KEY SHARE
    """,
)

# Whoever starts an execution holds it.
KEEP_TRANSITION = tenant(
    "transitions.keep_one",
    "SELECT transition_type FROM transition WHERE organization_id = $1 AND id = $2 FOR KEY SHARE",
)
