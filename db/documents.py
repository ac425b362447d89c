"""Documents: their labels, and the keys of their content in object storage."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UnsetType

from db.keyset import Order, within_bytes
from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from pagemill.ids import ConsentId, DatasetId, DocumentId, OrganizationId, PrincipalId

LONGEST_RETENTION = """(
    SELECT document_retention_in_days FROM organization WHERE organization.id = :organization_id
)"""
# A document whose retention has passed is hidden at once, even if its deletion comes later. The one of its
# organization holds for all documents, also when it was made shorter after they came.
LIVE = f"created_time + make_interval(days => least(retention_in_days, {LONGEST_RETENTION})) > now()"

_LIVE_AT_OWNER = LIVE.replace(":organization_id", "document.organization_id")


class DocumentRow(Row):
    """A document. The ``content_*`` columns are null until its file has been uploaded."""

    id: DocumentId
    dataset_id: DatasetId | None
    consent_id: ConsentId | None
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    ground_truth: list[dict[str, Any]]
    retention_in_days: int
    content_key: str | None
    content_type: str | None
    content_md5: str | None
    content_size: int | None
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class ListedDocumentRow(DocumentRow):
    """A document in a page that may end early because its rows are large."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class DocumentToDeleteRow(Row):
    """A document that a request to delete several may delete."""

    id: DocumentId
    created_time: datetime.datetime
    rows_in_page: Annotated[int, NeverNull("count(*)")]


class DuplicateRow(Row):
    """A document with the same content as an older one of its dataset."""

    id: DocumentId
    kept_id: Annotated[DocumentId, NeverNull("an id")]


class ContentHashRow(Row):
    """The hash of a document's content."""

    id: DocumentId
    content_md5: str | None


class BundledDocumentRow(Row):
    """A document as a data bundle records it, with its owner."""

    id: DocumentId
    organization_id: OrganizationId
    content_key: str | None
    content_md5: str | None
    ground_truth: list[dict[str, Any]]


@tenant(f"""
    INSERT INTO document (
        organization_id, id, dataset_id, consent_id, name, description, metadata, ground_truth,
        retention_in_days, content_key, content_type, content_md5, content_size, created_by, created_time
    )
    VALUES (
        :organization_id, :document_id, :dataset_id, :consent_id, :name, :description, :metadata,
        :ground_truth, least(:retention_in_days::integer, {LONGEST_RETENTION}), :content_key,
        :content_type, :content_md5, :content_size, :created_by, now()
    )
    RETURNING {columns(DocumentRow)}
""")
async def insert_document(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    document_id: DocumentId,
    dataset_id: DatasetId | None,
    consent_id: ConsentId | None,
    name: str | None,
    description: str | None,
    metadata: dict[str, Any] | None,
    ground_truth: list[dict[str, Any]],
    retention_in_days: int,
    content_key: str | None,
    content_type: str | None,
    content_md5: str | None,
    content_size: int | None,
    created_by: PrincipalId,
) -> DocumentRow:
    """Add a document, with or without content."""


@tenant(f"""
    SELECT {columns(DocumentRow)} FROM document
    WHERE organization_id = :organization_id AND id = :document_id AND {LIVE}
""")
async def get_document(
    connection: Connection, *, organization_id: OrganizationId, document_id: DocumentId
) -> DocumentRow | None:
    """Return a document that has not expired."""


@tenant(f"""
    SELECT {columns(DocumentRow)} FROM document
    WHERE organization_id = :organization_id AND id = :document_id AND {LIVE} FOR UPDATE
""")
async def lock_document(
    connection: Connection, *, organization_id: OrganizationId, document_id: DocumentId
) -> DocumentRow | None:
    """Return a document that has not expired and lock it until the transaction ends."""


@tenant(f"""
    UPDATE document SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        metadata = CASE WHEN :metadata_sent THEN :metadata ELSE metadata END,
        ground_truth = coalesce(:ground_truth, ground_truth),
        dataset_id = coalesce(:dataset_id, dataset_id),
        retention_in_days = CASE WHEN :retention_in_days_sent
            THEN least(:retention_in_days::integer, {LONGEST_RETENTION}) ELSE retention_in_days END,
        updated_time = now(), updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :document_id
    RETURNING {columns(DocumentRow)}
""")
async def update_document(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    document_id: DocumentId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    metadata: dict[str, Any] | UnsetType | None,
    ground_truth: list[dict[str, Any]] | UnsetType,
    dataset_id: DatasetId | UnsetType,
    retention_in_days: int | UnsetType,
    updated_by: PrincipalId,
) -> DocumentRow:
    """Change the members that are sent of a document whose row is locked."""


@tenant("""
    UPDATE document SET
        content_key = :content_key, content_type = :content_type, content_md5 = :content_md5,
        content_size = :content_size
    WHERE organization_id = :organization_id AND id = :document_id
""")
async def update_content(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    document_id: DocumentId,
    content_key: str,
    content_type: str,
    content_md5: str,
    content_size: int,
) -> RowCount:
    """Make a complete object the content of a document whose row is locked."""


_FILTERS = """
    organization_id = :organization_id
        AND (:dataset_ids::text[] IS NULL OR dataset_id = ANY(:dataset_ids))
        AND (:consent_ids::text[] IS NULL OR consent_id = ANY(:consent_ids))
        AND (:document_ids::text[] IS NULL OR id = ANY(:document_ids))
"""


@tenant(
    within_bytes(
        f"""
        SELECT {columns(DocumentRow)} FROM document
        WHERE {_FILTERS} AND {LIVE}
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "ground_truth",
        order="created_time, id",
        columns=columns(DocumentRow),
    )
)
async def list_documents_ascending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_ids: Sequence[DatasetId] | None,
    consent_ids: Sequence[ConsentId] | None,
    document_ids: Sequence[DocumentId] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedDocumentRow]:
    """Return a page of documents that have not expired, oldest first; a filter that is None takes all."""


@tenant(
    within_bytes(
        f"""
        SELECT {columns(DocumentRow)} FROM document
        WHERE {_FILTERS} AND {LIVE}
            AND (created_time, id) < (
                coalesce(:after_time::timestamptz, 'infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time DESC, id DESC LIMIT :limit
        """,
        "ground_truth",
        order="created_time DESC, id DESC",
        columns=columns(DocumentRow),
    )
)
async def list_documents_descending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_ids: Sequence[DatasetId] | None,
    consent_ids: Sequence[ConsentId] | None,
    document_ids: Sequence[DocumentId] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedDocumentRow]:
    """Return a page of documents that have not expired, newest first; a filter that is None takes all."""


async def list_documents(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_ids: Sequence[DatasetId] | None,
    consent_ids: Sequence[ConsentId] | None,
    document_ids: Sequence[DocumentId] | None,
    order: Order,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedDocumentRow]:
    """Return a page of documents that have not expired, sorted by the time of their creation."""
    statement = list_documents_ascending if order == "ascending" else list_documents_descending
    return await statement(
        connection,
        organization_id=organization_id,
        dataset_ids=dataset_ids,
        consent_ids=consent_ids,
        document_ids=document_ids,
        after_time=after_time,
        after_id=after_id,
        limit=limit,
    )


@tenant(
    within_bytes(
        """
        SELECT id, created_time, ground_truth FROM document
        WHERE organization_id = :organization_id
            AND (:dataset_ids::text[] IS NULL OR dataset_id = ANY(:dataset_ids))
            AND (:consent_ids::text[] IS NULL OR consent_id = ANY(:consent_ids))
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "ground_truth",
        order="created_time, id",
        columns="id, created_time",
    )
)
async def list_documents_to_delete(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_ids: Sequence[DatasetId] | None,
    consent_ids: Sequence[ConsentId] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[DocumentToDeleteRow]:
    """Return a page of documents, oldest first, expired ones too: a dataset with those is not empty."""


# Rows are locked in the order of their ids: calls that delete the same documents cannot deadlock.
@tenant(f"""
    WITH chosen AS (
        SELECT id FROM document
        WHERE organization_id = :organization_id AND id = ANY(:document_ids::text[])
            AND (:dataset_ids::text[] IS NULL OR dataset_id = ANY(:dataset_ids))
            AND (:consent_ids::text[] IS NULL OR consent_id = ANY(:consent_ids))
        ORDER BY id FOR UPDATE
    )
    DELETE FROM document
    WHERE organization_id = :organization_id AND id IN (SELECT id FROM chosen)
    RETURNING {columns(DocumentRow)}
""")
async def delete_documents(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    document_ids: Sequence[DocumentId],
    dataset_ids: Sequence[DatasetId] | None,
    consent_ids: Sequence[ConsentId] | None,
) -> list[DocumentRow]:
    """Delete those of the documents that the filters still take, and return them."""


@tenant(f"""
    SELECT id, kept_id FROM (
        SELECT id, first_value(id) OVER (PARTITION BY content_md5 ORDER BY created_time, id) AS kept_id
        FROM document
        WHERE organization_id = :organization_id AND dataset_id = :dataset_id
            AND content_md5 IS NOT NULL AND {LIVE}
    ) AS ranked
    WHERE id <> kept_id
    ORDER BY kept_id, id LIMIT :limit
""")
async def list_duplicates(
    connection: Connection, *, organization_id: OrganizationId, dataset_id: DatasetId, limit: int
) -> list[DuplicateRow]:
    """Return documents of a dataset whose content an older one has too, each with the oldest of them."""


# In the order of their ids, like every statement that deletes documents.
@tenant(f"""
    SELECT id, content_md5 FROM document
    WHERE organization_id = :organization_id AND dataset_id = :dataset_id
        AND id = ANY(:document_ids::text[]) AND {LIVE}
    ORDER BY id FOR UPDATE
""")
async def lock_contents(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_id: DatasetId,
    document_ids: Sequence[DocumentId],
) -> list[ContentHashRow]:
    """Return which of the documents are still in the dataset, and lock them until the transaction ends."""


@crossing(
    "documents of shared datasets are bundled by other organizations, too",
    f"""
    SELECT {columns(BundledDocumentRow)} FROM document
    WHERE dataset_id = ANY(:dataset_ids::text[]) AND {_LIVE_AT_OWNER}
        AND (
            organization_id = :organization_id
            OR (organization_id = ANY(:owner_ids::text[]) AND EXISTS (
                SELECT FROM dataset
                WHERE dataset.organization_id = document.organization_id AND dataset.id = document.dataset_id
                    AND dataset.shared
            ))
        )
    ORDER BY created_time, id
    """,
)
async def list_documents_to_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    owner_ids: Sequence[OrganizationId],
    dataset_ids: Sequence[DatasetId],
) -> list[BundledDocumentRow]:
    """Return all documents of some datasets, oldest first; the owners have shared those that are theirs."""
