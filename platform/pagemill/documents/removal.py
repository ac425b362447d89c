"""Removing documents: their rows with the counters of their datasets, then what is stored of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import asyncpg

from db import documents as statements
from db.statements import Connection
from pagemill.documents.counting import count_documents
from pagemill.objects import ObjectStore
from pagemill.objects.keys import document_prefix
from pagemill.objects.removal import remove


async def remove_documents(
    connection: Connection,
    organization_id: str,
    document_ids: Sequence[str],
    *,
    dataset_ids: Sequence[str] | None = None,
    consent_ids: Sequence[str] | None = None,
) -> list[asyncpg.Record]:
    """The rows that are gone, oldest first; one that the filters do not take (any more) stays."""
    async with connection.transaction():
        rows = await statements.DELETE_DOCUMENTS.fetch(
            connection, organization_id, document_ids, dataset_ids, consent_ids
        )
        by_dataset: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            if row["dataset_id"] is not None:
                by_dataset[row["dataset_id"]].append(row)
        for dataset_id in sorted(by_dataset):
            gone = by_dataset[dataset_id]
            truth = [item for row in gone for item in row["ground_truth"]]
            await count_documents(
                connection,
                organization_id,
                dataset_id,
                documents=-len(gone),
                changes=len(gone),
                before=truth,
            )
    return sorted(rows, key=lambda row: (row["created_time"], row["id"]))


async def remove_objects(objects: ObjectStore, organization_id: str, rows: Sequence[asyncpg.Record]) -> None:
    """Everything stored of documents whose rows are gone."""
    uploaded = (row["id"] for row in rows if row["content_key"] is not None)
    await remove(objects, prefixes=[document_prefix(organization_id, one) for one in uploaded])
