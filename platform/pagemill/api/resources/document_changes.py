"""Writes of documents, each in one transaction with the counters of their datasets."""

from __future__ import annotations

import asyncpg
from msgspec import UNSET

from db import documents as statements
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.schemas import change, checked_metadata
from pagemill.api.resources.datasets import DEFAULT_RETENTION_IN_DAYS, dataset_retention
from pagemill.api.resources.document_schemas import PatchDocument, PostDocument
from pagemill.api.resources.ground_truth import checked_ground_truth
from pagemill.documents.content import StoredContent
from pagemill.documents.counting import count_documents
from pagemill.documents.labels import GroundTruth
from pagemill.usage.counting import count


async def insert_document(
    connection: Connection,
    caller: Caller,
    document_id: str,
    data: PostDocument,
    ground_truth: GroundTruth,
    stored: StoredContent | None,
) -> asyncpg.Record:
    """The new row. Runs in the caller's transaction; raises BadRequest or LimitExceeded."""
    dataset_id = None if data.dataset_id is UNSET else data.dataset_id
    retention = DEFAULT_RETENTION_IN_DAYS if data.retention_in_days is UNSET else data.retention_in_days
    if dataset_id is not None:
        retention = min(retention, await dataset_retention(connection, caller, dataset_id))
    await count(connection, caller.organization_id, "documents")
    row = await statements.INSERT_DOCUMENT.fetch_one(
        connection,
        caller.organization_id,
        document_id,
        dataset_id,
        None if data.consent_id is UNSET else data.consent_id,
        data.name,
        data.description,
        data.metadata,
        ground_truth,
        retention,
        stored.key if stored else None,
        stored.content_type if stored else None,
        stored.md5 if stored else None,
        stored.size if stored else None,
        caller.principal_id,
    )
    await count_documents(connection, caller.organization_id, dataset_id, documents=1, after=ground_truth)
    assert row is not None
    return row


async def change_document(
    connection: Connection, caller: Caller, document_id: str, data: PatchDocument
) -> asyncpg.Record | None:
    """The changed row, None when there is none. Runs in the caller's transaction; raises BadRequest."""
    metadata = checked_metadata(data.metadata)
    truth = None if data.ground_truth is UNSET else checked_ground_truth(data.ground_truth or [])
    before = await statements.LOCK_DOCUMENT.fetch_one(connection, caller.organization_id, document_id)
    if before is None:
        return None
    after = await statements.UPDATE_DOCUMENT.fetch_one(
        connection,
        caller.organization_id,
        document_id,
        *change(data.name),
        *change(data.description),
        *change(metadata),
        truth,
        None if data.dataset_id is UNSET else data.dataset_id,
        await _new_retention(connection, caller, data, before),
        caller.principal_id,
    )
    assert after is not None
    await _count_change(connection, caller, before, after)
    return after


async def _new_retention(
    connection: Connection, caller: Caller, data: PatchDocument, before: asyncpg.Record
) -> int | None:
    """What the dataset allows of what is asked for; None leaves the document's retention alone."""
    dataset_id = before["dataset_id"] if data.dataset_id is UNSET else data.dataset_id
    asked = before["retention_in_days"] if data.retention_in_days is UNSET else data.retention_in_days
    if dataset_id == before["dataset_id"] and data.retention_in_days is UNSET:
        return None
    if dataset_id is None:
        return int(asked)
    return min(asked, await dataset_retention(connection, caller, dataset_id))


async def _count_change(
    connection: Connection, caller: Caller, before: asyncpg.Record, after: asyncpg.Record
) -> None:
    source, target = before["dataset_id"], after["dataset_id"]
    old, new = before["ground_truth"], after["ground_truth"]
    if source == target:
        await count_documents(connection, caller.organization_id, target, documents=0, before=old, after=new)
        return
    # Rows are locked in the order of their ids: two documents that change places never wait for each other.
    for dataset_id in sorted(filter(None, (source, target))):
        if dataset_id == source:
            await count_documents(connection, caller.organization_id, source, documents=-1, before=old)
        else:
            await count_documents(connection, caller.organization_id, target, documents=1, after=new)
