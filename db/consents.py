"""Data stored under a consent: documents, and their predictions."""

from __future__ import annotations

import datetime
from typing import Annotated

from db.documents import DocumentRow
from db.predictions import PredictionRow
from db.statements import Connection, NeverNull, Row, columns, tenant
from pagemill.ids import ConsentId, DataBundleId, DocumentId, OrganizationId


class ConsentSummaryRow(Row):
    """Numbers of documents and bytes that are stored under a consent."""

    documents: Annotated[int, NeverNull("count(*)")]
    bytes: Annotated[int, NeverNull("coalesced")]
    predictions: Annotated[int, NeverNull("coalesced")]


@tenant("""
    SELECT count(*) AS documents, coalesce(sum(content_size), 0)::bigint AS bytes, coalesce(sum((
        SELECT count(*) FROM prediction
        WHERE prediction.organization_id = :organization_id AND prediction.document_id = document.id
    )), 0)::bigint AS predictions
    FROM document WHERE organization_id = :organization_id AND consent_id = :consent_id
""")
async def summarise_consent(
    connection: Connection, *, organization_id: OrganizationId, consent_id: ConsentId
) -> ConsentSummaryRow:
    """Return how many documents and predictions are stored under a consent, and the size of the files."""


@tenant("""
    SELECT id FROM data_bundle
    WHERE organization_id = :organization_id AND EXISTS (
        SELECT 1 FROM jsonb_array_elements(datasets) AS dataset
        WHERE dataset ->> 'datasetId' IN (
            SELECT dataset_id FROM document
            WHERE organization_id = :organization_id AND consent_id = :consent_id
        )
    )
    ORDER BY created_time, id
""")
async def list_data_bundles(
    connection: Connection, *, organization_id: OrganizationId, consent_id: ConsentId
) -> list[DataBundleId]:
    """Return the data bundles of datasets with such documents: they may hold words and labels of these."""


@tenant(f"""
    SELECT {columns(DocumentRow)} FROM document
    WHERE organization_id = :organization_id AND consent_id = :consent_id
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_documents(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    consent_id: ConsentId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[DocumentRow]:
    """Return a page of the documents under a consent, oldest first, also those that have expired."""


@tenant(f"""
    SELECT {columns(PredictionRow)} FROM prediction
    WHERE organization_id = :organization_id AND document_id = :document_id
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_predictions(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    document_id: DocumentId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[PredictionRow]:
    """Return a page of the predictions of a document, oldest first."""
