"""Counters of a dataset: its documents, its changes, and the values of each label."""

from __future__ import annotations

from db import datasets as statements
from db.statements import Connection
from pagemill.documents.labels import GroundTruth, difference, label_counts
from pagemill.errors import BadRequest
from pagemill.ids import DatasetId, OrganizationId

MAXIMUM_LABELS = 10_000
"""The labels of ten models. Each change of a document writes the whole summary."""


async def count_in_dataset(
    connection: Connection,
    organization_id: OrganizationId,
    dataset_id: DatasetId | None,
    *,
    documents: int,
    changes: int = 1,
    before: GroundTruth | None = None,
    after: GroundTruth | None = None,
) -> None:
    """Update the counters of a dataset in the transaction that changes its documents.

    ``documents`` is how many were added, or removed if negative; ``before`` and ``after`` are their ground
    truth. Raises BadRequest when the dataset would have too many different labels.
    """
    if dataset_id is None:
        return
    labels = difference(label_counts(after), label_counts(before))
    different = await statements.update_counters(
        connection,
        organization_id=organization_id,
        dataset_id=dataset_id,
        documents=documents,
        changes=changes,
        labels=labels,
    )
    grows = any(added > 0 for added in labels.values())
    if grows and different is not None and different > MAXIMUM_LABELS:
        raise BadRequest(
            f"groundTruth: the dataset must not have more than {MAXIMUM_LABELS} different labels"
        )
