"""Data bundles: snapshots of datasets that trainings learn from."""

from __future__ import annotations

from db.keyset import within_bytes
from db.statements import untyped_tenant as tenant

DATA_BUNDLE_COLUMNS = """
    id, model_id, name, description, datasets, summary, status, object_key, retention_in_days,
    created_time, created_by, updated_time, updated_by
"""

# The datasets whose state a bundle records.
DATASETS_TO_BUNDLE = tenant(
    "data_bundles.datasets", "SELECT * FROM dataset WHERE organization_id = $1 AND id = ANY($2::text[])"
)

INSERT_DATA_BUNDLE = tenant(
    "data_bundles.insert",
    f"""
    INSERT INTO data_bundle (
        organization_id, id, model_id, name, description, datasets, retention_in_days, created_by
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    RETURNING {DATA_BUNDLE_COLUMNS}
    """,
)

GET_DATA_BUNDLE = tenant(
    "data_bundles.get",
    f"""
    SELECT {DATA_BUNDLE_COLUMNS} FROM data_bundle
    WHERE organization_id = $1 AND model_id = $2 AND id = $3
    """,
)

LOCK_DATA_BUNDLE = tenant(
    "data_bundles.lock",
    f"""
    SELECT {DATA_BUNDLE_COLUMNS} FROM data_bundle
    WHERE organization_id = $1 AND model_id = $2 AND id = $3 FOR UPDATE
    """,
)

LIST_DATA_BUNDLES = tenant(
    "data_bundles.list",
    within_bytes(
        f"""
    SELECT {DATA_BUNDLE_COLUMNS} FROM data_bundle
    WHERE organization_id = $1 AND model_id = $2
        AND ($3::text[] IS NULL OR status = ANY($3))
        AND (created_time, id) > (coalesce($4::timestamptz, '-infinity'), coalesce($5::text, ''))
    ORDER BY created_time, id LIMIT $6
    """,
        "datasets",
        "summary",
        order="created_time, id",
    ),
)

# Locked against being made anew, or deleted, while a training is written that learns from them.
DATA_BUNDLES_TO_TRAIN = tenant(
    "data_bundles.to_train",
    """
    SELECT id, status, datasets FROM data_bundle
    WHERE organization_id = $1 AND model_id = $2 AND id = ANY($3::text[]) FOR SHARE
    """,
)

UPDATE_DATA_BUNDLE = tenant(
    "data_bundles.update",
    f"""
    UPDATE data_bundle SET
        name = CASE WHEN $4 THEN $5 ELSE name END,
        description = CASE WHEN $6 THEN $7 ELSE description END,
        updated_time = now(),
        updated_by = $8
    WHERE organization_id = $1 AND model_id = $2 AND id = $3
    RETURNING {DATA_BUNDLE_COLUMNS}
    """,
)

# A bundle that is made anew keeps its object until the new one is written.
RESTART_DATA_BUNDLE = tenant(
    "data_bundles.restart",
    f"""
    UPDATE data_bundle SET datasets = $4, retention_in_days = $5, status = 'running', summary = NULL
    WHERE organization_id = $1 AND model_id = $2 AND id = $3
    RETURNING {DATA_BUNDLE_COLUMNS}
    """,
)

DELETE_DATA_BUNDLE = tenant(
    "data_bundles.delete",
    "DELETE FROM data_bundle WHERE organization_id = $1 AND model_id = $2 AND id = $3",
)

# What the worker needs.
DATA_BUNDLE_WORK = tenant(
    "data_bundles.work",
    """
    SELECT data_bundle.datasets, model.field_config, model.preprocess_config
    FROM data_bundle
    JOIN model ON model.organization_id = $1 AND model.id = data_bundle.model_id
    WHERE data_bundle.organization_id = $1 AND data_bundle.id = $2
    """,
)

# The snapshots that a training learns from, oldest first: of a document in several the newest counts.
DATA_BUNDLE_SNAPSHOTS = tenant(
    "data_bundles.snapshots",
    """
    SELECT id, object_key FROM data_bundle
    WHERE organization_id = $1 AND id = ANY($2::text[]) AND object_key IS NOT NULL
    ORDER BY created_time, id
    """,
)

SUCCEED_DATA_BUNDLE = tenant(
    "data_bundles.succeed",
    """
    UPDATE data_bundle SET status = 'succeeded', summary = $3, object_key = $4
    WHERE organization_id = $1 AND id = $2 AND status = 'running'
    RETURNING id, model_id, status
    """,
)

FAIL_DATA_BUNDLE = tenant(
    "data_bundles.fail",
    """
    UPDATE data_bundle SET status = 'failed'
    WHERE organization_id = $1 AND id = $2 AND status = 'running'
    RETURNING id, model_id, status
    """,
)

REOPEN_DATA_BUNDLE = tenant(
    "data_bundles.reopen",
    """
    UPDATE data_bundle SET status = 'running'
    WHERE organization_id = $1 AND id = $2 AND status = 'failed'
    RETURNING id
    """,
)
