"""Datasets: named sets of documents, with counters that documents keep true."""

from __future__ import annotations

from db.keyset import within_bytes
from db.statements import untyped_tenant as tenant

DATASET_COLUMNS = """
    id, name, description, metadata, retention_in_days, contains_pii, number_of_documents,
    ground_truth_summary, version, created_time, created_by, updated_time, updated_by
"""

INSERT_DATASET = tenant(
    "datasets.insert",
    f"""
    INSERT INTO dataset (
        organization_id, id, name, description, metadata, retention_in_days, contains_pii, created_by,
        created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
    RETURNING {DATASET_COLUMNS}
    """,
)

GET_DATASET = tenant(
    "datasets.get", f"SELECT {DATASET_COLUMNS} FROM dataset WHERE organization_id = $1 AND id = $2"
)

LIST_DATASETS = tenant(
    "datasets.list",
    within_bytes(
        f"""
    SELECT {DATASET_COLUMNS} FROM dataset
    WHERE organization_id = $1
        AND (created_time, id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    ORDER BY created_time, id LIMIT $4
    """,
        "ground_truth_summary",
        order="created_time, id",
    ),
)

# A member that is not sent keeps its value: each nullable one comes with a flag that says whether it was.
UPDATE_DATASET = tenant(
    "datasets.update",
    f"""
    UPDATE dataset SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        metadata = CASE WHEN $7 THEN $8 ELSE metadata END,
        retention_in_days = coalesce($9, retention_in_days),
        contains_pii = coalesce($10, contains_pii),
        updated_time = now(), updated_by = $11
    WHERE organization_id = $1 AND id = $2
    RETURNING {DATASET_COLUMNS}
    """,
)

# Whoever puts a document into a dataset holds this, so that it is not deleted in between.
KEEP_DATASET = tenant(
    "datasets.keep",
    "SELECT retention_in_days FROM dataset WHERE organization_id = $1 AND id = $2 FOR KEY SHARE",
)

LOCK_DATASET = tenant(
    "datasets.lock",
    f"SELECT {DATASET_COLUMNS} FROM dataset WHERE organization_id = $1 AND id = $2 FOR UPDATE",
)

DELETE_DATASET = tenant("datasets.delete", "DELETE FROM dataset WHERE organization_id = $1 AND id = $2")

# $3 documents more (or less), $4 changes, $5 label -> how many values more (or less).
COUNT_DOCUMENTS = tenant(
    "datasets.count_documents",
    """
    UPDATE dataset SET
        number_of_documents = number_of_documents + $3,
        version = version + $4,
        ground_truth_summary = (
            SELECT coalesce(jsonb_object_agg(key, total) FILTER (WHERE total > 0), '{}')
            FROM (
                SELECT key, sum(value::bigint) AS total
                FROM (
                    SELECT key, value FROM jsonb_each_text(ground_truth_summary)
                    UNION ALL
                    SELECT key, value FROM jsonb_each_text($5::jsonb)
                ) AS counted
                GROUP BY key
            ) AS summed
        )
    WHERE organization_id = $1 AND id = $2
    RETURNING (SELECT count(*) FROM jsonb_object_keys(ground_truth_summary)) AS labels
    """,
)
