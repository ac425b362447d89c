"""What is stored under a consent: documents, and the predictions of them."""

from __future__ import annotations

from db.documents import DOCUMENT_COLUMNS
from db.predictions import PredictionRow
from db.statements import columns
from db.statements import untyped_tenant as tenant

CONSENT_SUMMARY = tenant(
    "consents.summary",
    """
    SELECT count(*) AS documents, coalesce(sum(content_size), 0)::bigint AS bytes, coalesce(sum((
        SELECT count(*) FROM prediction
        WHERE prediction.organization_id = $1 AND prediction.document_id = document.id
    )), 0)::bigint AS predictions
    FROM document WHERE organization_id = $1 AND consent_id = $2
    """,
)

# Their snapshots may hold what the documents said.
CONSENT_DATA_BUNDLES = tenant(
    "consents.data_bundles",
    """
    SELECT id FROM data_bundle
    WHERE organization_id = $1 AND EXISTS (
        SELECT 1 FROM jsonb_array_elements(datasets) AS dataset
        WHERE dataset ->> 'datasetId' IN (
            SELECT dataset_id FROM document WHERE organization_id = $1 AND consent_id = $2
        )
    )
    ORDER BY created_time, id
    """,
)

# Those whose time has passed and that are not removed yet are stored too.
CONSENT_DOCUMENTS = tenant(
    "consents.documents",
    f"""
    SELECT {DOCUMENT_COLUMNS} FROM document
    WHERE organization_id = $1 AND consent_id = $2
        AND (created_time, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
    ORDER BY created_time, id LIMIT $5
    """,
)

DOCUMENT_PREDICTIONS = tenant(
    "consents.predictions",
    f"""
    SELECT {columns(PredictionRow)} FROM prediction
    WHERE organization_id = $1 AND document_id = $2
        AND (created_time, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
    ORDER BY created_time, id LIMIT $5
    """,
)

PENDING_PREDICTIONS = tenant(
    "consents.pending_predictions",
    """
    SELECT id FROM prediction
    WHERE organization_id = $1 AND document_id = ANY($2::text[]) AND status = 'pending' ORDER BY id
    """,
)

DELETE_PREDICTIONS = tenant(
    "consents.delete_predictions",
    "DELETE FROM prediction WHERE organization_id = $1 AND document_id = ANY($2::text[])",
)
