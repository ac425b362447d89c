"""Changes of documents, each in one transaction with the counters of its datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, UnsetType

from db import documents as statements
from db.datasets import keep_dataset
from db.documents import DocumentRow
from db.statements import Connection
from pagemill.documents.content import StoredContent
from pagemill.documents.dataset_counters import count_in_dataset
from pagemill.documents.labels import GroundTruth
from pagemill.errors import BadRequest
from pagemill.ids import ConsentId, DatasetId, DocumentId, OrganizationId, PrincipalId

DEFAULT_RETENTION_IN_DAYS = 1825


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document to insert; without ``content`` its file is uploaded later."""

    id: DocumentId
    dataset_id: DatasetId | None
    consent_id: ConsentId | None
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    ground_truth: GroundTruth
    retention_in_days: int
    content: StoredContent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentChanges:
    """New values for a document; a member that is UNSET keeps its value."""

    dataset_id: DatasetId | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    ground_truth: GroundTruth | UnsetType = UNSET
    retention_in_days: int | UnsetType = UNSET


async def insert_document(
    connection: Connection, organization_id: OrganizationId, created_by: PrincipalId, document: NewDocument
) -> DocumentRow:
    """Insert a document in the caller's transaction and return its row. Raises BadRequest.

    The document is kept no longer than its dataset allows.
    """
    retention, content = document.retention_in_days, document.content
    if document.dataset_id is not None:
        retention = min(retention, await _dataset_retention(connection, organization_id, document.dataset_id))
    row = await statements.insert_document(
        connection,
        organization_id=organization_id,
        document_id=document.id,
        dataset_id=document.dataset_id,
        consent_id=document.consent_id,
        name=document.name,
        description=document.description,
        metadata=document.metadata,
        ground_truth=document.ground_truth,
        retention_in_days=retention,
        content_key=content.key if content else None,
        content_type=content.content_type if content else None,
        content_md5=content.md5 if content else None,
        content_size=content.size if content else None,
        created_by=created_by,
    )
    await count_in_dataset(
        connection, organization_id, document.dataset_id, documents=1, after=document.ground_truth
    )
    return row


async def update_document(
    connection: Connection,
    organization_id: OrganizationId,
    updated_by: PrincipalId,
    document_id: DocumentId,
    changes: DocumentChanges,
) -> DocumentRow | None:
    """Change a document in the caller's transaction and return its row, None if there is no such document.

    Raises BadRequest.
    """
    before = await statements.lock_document(
        connection, organization_id=organization_id, document_id=document_id
    )
    if before is None:
        return None
    after = await statements.update_document(
        connection,
        organization_id=organization_id,
        document_id=document_id,
        name=changes.name,
        description=changes.description,
        metadata=changes.metadata,
        ground_truth=changes.ground_truth,
        dataset_id=changes.dataset_id,
        retention_in_days=await _new_retention(connection, organization_id, changes, before),
        updated_by=updated_by,
    )
    await _count_change(connection, organization_id, before, after)
    return after


async def _dataset_retention(
    connection: Connection, organization_id: OrganizationId, dataset_id: DatasetId
) -> int:
    retention = await keep_dataset(connection, organization_id=organization_id, dataset_id=dataset_id)
    if retention is None:
        raise BadRequest(f"datasetId: dataset {dataset_id} does not exist")
    return retention


async def _new_retention(
    connection: Connection, organization_id: OrganizationId, changes: DocumentChanges, before: DocumentRow
) -> int | UnsetType:
    dataset_id = before.dataset_id if changes.dataset_id is UNSET else changes.dataset_id
    wanted = before.retention_in_days if changes.retention_in_days is UNSET else changes.retention_in_days
    if dataset_id == before.dataset_id and changes.retention_in_days is UNSET:
        return UNSET
    if dataset_id is None:
        return wanted
    return min(wanted, await _dataset_retention(connection, organization_id, dataset_id))


async def _count_change(
    connection: Connection, organization_id: OrganizationId, before: DocumentRow, after: DocumentRow
) -> None:
    source, target = before.dataset_id, after.dataset_id
    old, new = before.ground_truth, after.ground_truth
    if source == target:
        await count_in_dataset(connection, organization_id, target, documents=0, before=old, after=new)
        return
    # Rows are locked in the order of their ids: two documents that swap datasets cannot deadlock.
    for dataset_id in sorted(filter(None, (source, target))):
        if dataset_id == source:
            await count_in_dataset(connection, organization_id, source, documents=-1, before=old)
        else:
            await count_in_dataset(connection, organization_id, target, documents=1, after=new)
