"""Documents: their labels, and where their content lies."""

from __future__ import annotations

from typing import Literal

from db.keyset import within_bytes
from db.statements import UntypedStatement
from db.statements import untyped_tenant as tenant

DOCUMENT_COLUMNS = """
    id, dataset_id, consent_id, name, description, metadata, ground_truth, retention_in_days, content_key,
    content_type, content_md5, content_size, created_time, created_by, updated_time, updated_by
"""

# A document whose time has passed is gone for everybody, however long it takes until it is removed.
LIVE = "created_time + make_interval(days => retention_in_days) > now()"

INSERT_DOCUMENT = tenant(
    "documents.insert",
    f"""
    INSERT INTO document (
        organization_id, id, dataset_id, consent_id, name, description, metadata, ground_truth,
        retention_in_days, content_key, content_type, content_md5, content_size, created_by, created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, now())
    RETURNING {DOCUMENT_COLUMNS}
    """,
)

GET_DOCUMENT = tenant(
    "documents.get",
    f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE organization_id = $1 AND id = $2 AND {LIVE}",
)

LOCK_DOCUMENT = tenant(
    "documents.lock",
    f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE organization_id = $1 AND id = $2 AND {LIVE} FOR UPDATE",
)

# A member that is not sent keeps its value: each nullable one comes with a flag that says whether it was.
UPDATE_DOCUMENT = tenant(
    "documents.update",
    f"""
    UPDATE document SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        metadata = CASE WHEN $7 THEN $8 ELSE metadata END,
        ground_truth = coalesce($9, ground_truth),
        dataset_id = coalesce($10, dataset_id),
        retention_in_days = coalesce($11, retention_in_days),
        updated_time = now(), updated_by = $12
    WHERE organization_id = $1 AND id = $2
    RETURNING {DOCUMENT_COLUMNS}
    """,
)

SWITCH_CONTENT = tenant(
    "documents.switch_content",
    """
    UPDATE document SET content_key = $3, content_type = $4, content_md5 = $5, content_size = $6
    WHERE organization_id = $1 AND id = $2
    """,
)

_FILTERS = """
    organization_id = $1
        AND ($2::text[] IS NULL OR dataset_id = ANY($2))
        AND ($3::text[] IS NULL OR consent_id = ANY($3))
        AND ($4::text[] IS NULL OR id = ANY($4))
"""

LIST_DOCUMENTS: dict[Literal["ascending", "descending"], UntypedStatement] = {
    "ascending": tenant(
        "documents.list_ascending",
        within_bytes(
            f"""
        SELECT {DOCUMENT_COLUMNS} FROM document
        WHERE {_FILTERS} AND {LIVE}
            AND (created_time, id) > (coalesce($5::timestamptz, '-infinity'), coalesce($6::text, ''))
        ORDER BY created_time, id LIMIT $7
        """,
            "ground_truth",
            order="created_time, id",
        ),
    ),
    "descending": tenant(
        "documents.list_descending",
        within_bytes(
            f"""
        SELECT {DOCUMENT_COLUMNS} FROM document
        WHERE {_FILTERS} AND {LIVE}
            AND (created_time, id) < (coalesce($5::timestamptz, 'infinity'), coalesce($6::text, ''))
        ORDER BY created_time DESC, id DESC LIMIT $7
        """,
            "ground_truth",
            order="created_time DESC, id DESC",
        ),
    ),
}

# Those whose time has passed too: a dataset with them is not empty.
DOCUMENTS_TO_DELETE = tenant(
    "documents.to_delete",
    within_bytes(
        """
    SELECT id, created_time, ground_truth FROM document
    WHERE organization_id = $1
        AND ($2::text[] IS NULL OR dataset_id = ANY($2))
        AND ($3::text[] IS NULL OR consent_id = ANY($3))
        AND (created_time, id) > (coalesce($4::timestamptz, '-infinity'), coalesce($5::text, ''))
    ORDER BY created_time, id LIMIT $6
    """,
        "ground_truth",
        order="created_time, id",
        columns="id, created_time",
    ),
)

# Rows are locked in the order of their ids: calls that delete the same documents do not wait in a ring.
DELETE_DOCUMENTS = tenant(
    "documents.delete_many",
    f"""
    WITH chosen AS (
        SELECT id FROM document
        WHERE organization_id = $1 AND id = ANY($2::text[])
            AND ($3::text[] IS NULL OR dataset_id = ANY($3))
            AND ($4::text[] IS NULL OR consent_id = ANY($4))
        ORDER BY id FOR UPDATE
    )
    DELETE FROM document
    WHERE organization_id = $1 AND id IN (SELECT id FROM chosen)
    RETURNING {DOCUMENT_COLUMNS}
    """,
)

# Copies in a dataset, each with the oldest document of the same content.
COPIES_IN_DATASET = tenant(
    "documents.copies",
    f"""
    SELECT id, kept_id FROM (
        SELECT id, first_value(id) OVER (PARTITION BY content_md5 ORDER BY created_time, id) AS kept_id
        FROM document
        WHERE organization_id = $1 AND dataset_id = $2 AND content_md5 IS NOT NULL AND {LIVE}
    ) AS ranked
    WHERE id <> kept_id
    ORDER BY kept_id, id LIMIT $3
    """,
)

# In the order of their ids, as those who delete documents lock them.
LOCK_CONTENTS = tenant(
    "documents.lock_contents",
    f"""
    SELECT id, content_md5 FROM document
    WHERE organization_id = $1 AND dataset_id = $2 AND id = ANY($3::text[]) AND {LIVE}
    ORDER BY id FOR UPDATE
    """,
)

# What a data bundle records of the documents of its datasets.
DOCUMENTS_TO_BUNDLE = tenant(
    "documents.to_bundle",
    f"""
    SELECT id, content_key, content_md5, ground_truth FROM document
    WHERE organization_id = $1 AND dataset_id = ANY($2::text[]) AND {LIVE}
    ORDER BY created_time, id
    """,
)
