"""Deletion of documents: their rows with the counters of their datasets, then their stored objects.

Whatever else holds their values is emptied by a job that the same transaction queues.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from db import documents as statements
from db.documents import DocumentRow
from db.erasures import begin_erasure
from db.statements import Connection
from pagemill.documents.dataset_counters import count_in_dataset
from pagemill.ids import ConsentId, DatasetId, DocumentId, OrganizationId
from pagemill.objects import ObjectStore
from pagemill.objects.discarding import discard
from pagemill.objects.keys import document_prefix


async def delete_documents(
    connection: Connection,
    organization_id: OrganizationId,
    document_ids: Sequence[DocumentId],
    *,
    dataset_ids: Sequence[DatasetId] | None = None,
    consent_ids: Sequence[ConsentId] | None = None,
) -> list[DocumentRow]:
    """Delete documents with their predictions and return their rows, oldest first.

    One outside the filters stays. Call ``delete_document_objects`` with the rows once the transaction is
    committed.
    """
    async with connection.transaction():
        rows = await statements.delete_documents(
            connection,
            organization_id=organization_id,
            document_ids=document_ids,
            dataset_ids=dataset_ids,
            consent_ids=consent_ids,
        )
        by_dataset: defaultdict[DatasetId, list[DocumentRow]] = defaultdict(list)
        for row in rows:
            if row.dataset_id is not None:
                by_dataset[row.dataset_id].append(row)
        # Datasets are locked in the order of their ids: two deletions cannot deadlock.
        for dataset_id, deleted in sorted(by_dataset.items()):
            await count_in_dataset(
                connection,
                organization_id,
                dataset_id,
                documents=-len(deleted),
                changes=len(deleted),
                before=[item for row in deleted for item in row.ground_truth],
            )
        if rows:
            await begin_erasure(
                connection,
                organization_id=organization_id,
                document_ids=[row.id for row in rows],
                consent_ids=[row.consent_id for row in rows],
                created_times=[row.created_time for row in rows],
            )
    return sorted(rows, key=lambda row: (row.created_time, row.id))


async def delete_document_objects(
    objects: ObjectStore, organization_id: OrganizationId, rows: Sequence[DocumentRow]
) -> None:
    """Delete the stored objects of documents whose rows are deleted."""
    uploaded = (row.id for row in rows if row.content_key is not None)
    await discard(objects, prefixes=[document_prefix(organization_id, one) for one in uploaded])
