"""Transformations of datasets."""

from __future__ import annotations

from db.statements import untyped_tenant as tenant

TRANSFORMATION_COLUMNS = """
    id, dataset_id, operations, status, created_time, created_by, updated_time, updated_by
"""

INSERT_TRANSFORMATION = tenant(
    "transformations.insert",
    f"""
    INSERT INTO transformation (organization_id, id, dataset_id, operations, created_by)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING {TRANSFORMATION_COLUMNS}
    """,
)

GET_TRANSFORMATION = tenant(
    "transformations.get",
    f"""
    SELECT {TRANSFORMATION_COLUMNS} FROM transformation
    WHERE organization_id = $1 AND dataset_id = $2 AND id = $3
    """,
)

LIST_TRANSFORMATIONS = tenant(
    "transformations.list",
    f"""
    SELECT {TRANSFORMATION_COLUMNS} FROM transformation
    WHERE organization_id = $1 AND dataset_id = $2
        AND ($3::text[] IS NULL OR status = ANY($3))
        AND (created_time, id) > (coalesce($4::timestamptz, '-infinity'), coalesce($5::text, ''))
    ORDER BY created_time, id LIMIT $6
    """,
)

DELETE_TRANSFORMATION = tenant(
    "transformations.delete",
    "DELETE FROM transformation WHERE organization_id = $1 AND dataset_id = $2 AND id = $3",
)

# What the worker needs.
TRANSFORMATION_WORK = tenant(
    "transformations.work",
    "SELECT dataset_id, operations FROM transformation WHERE organization_id = $1 AND id = $2",
)

END_TRANSFORMATION = tenant(
    "transformations.end",
    """
    UPDATE transformation SET status = $3
    WHERE organization_id = $1 AND id = $2 AND status = 'running'
    """,
)

REOPEN_TRANSFORMATION = tenant(
    "transformations.reopen",
    """
    UPDATE transformation SET status = 'running'
    WHERE organization_id = $1 AND id = $2 AND status = 'failed'
    RETURNING id
    """,
)
