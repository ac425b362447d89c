"""A dataset's counters: how many documents, how many changes, how many values of each label."""

from __future__ import annotations

from db import datasets as statements
from db.statements import Connection
from pagemill.documents.labels import GroundTruth, difference, label_counts
from pagemill.errors import BadRequest

MOST_LABELS = 10_000
"""Ten models' worth. Each change of a document writes the whole summary anew."""


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
    """Keep a dataset's counters true to a change of documents, in the same transaction.

    Raises BadRequest when ground truth that comes in brings too many labels together.
    """
    if dataset_id is None:
        return
    labels = difference(label_counts(after), label_counts(before))
    different = await statements.COUNT_DOCUMENTS.fetch_value(
        connection, organization_id, dataset_id, documents, changes, labels
    )
    grows = any(added > 0 for added in labels.values())
    if grows and different is not None and different > MOST_LABELS:
        raise BadRequest(f"groundTruth: the dataset must not have more than {MOST_LABELS} different labels")
