"""A dataset's counters: how many documents, how many changes, how many values of each label."""

from __future__ import annotations

from db import datasets as statements
from db.statements import Connection
from pagemill.documents.labels import GroundTruth, difference, label_counts


async def count_documents(
    connection: Connection,
    organization_id: str,
    dataset_id: str | None,
    *,
    documents: int,
    changes: int = 1,
    before: GroundTruth | None = None,
    after: GroundTruth | None = None,
) -> None:
    """Keep a dataset's counters true to a change of documents, in the same transaction."""
    if dataset_id is not None:
        labels = difference(label_counts(after), label_counts(before))
        await statements.COUNT_DOCUMENTS.execute(
            connection, organization_id, dataset_id, documents, changes, labels
        )
