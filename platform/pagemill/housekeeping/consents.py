"""Data stored under a consent: its amount, and its deletion."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeAlias

import msgspec

from db import consents as statements
from db.statements import Connection
from pagemill.documents.deletion import delete_document_objects, delete_documents
from pagemill.errors import NotFound
from pagemill.housekeeping.bundle_erasure import erase_deleted_documents
from pagemill.ids import ConsentId, DataBundleId, DocumentId, OrganizationId
from pagemill.jobs.kind import AnyKind
from pagemill.jobs.queue import request_cancel
from pagemill.objects import ObjectStore

BATCH_SIZE = 200

Progress: TypeAlias = Callable[[int], None]
"""Called with the number of documents that were processed since the last call."""


class ConsentSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Amount of data under a consent; ``data_bundles`` are of datasets with such documents."""

    consent_id: ConsentId
    documents: int
    predictions: int
    content_bytes: int
    data_bundles: list[DataBundleId]


async def summarise_consent(
    connection: Connection, organization_id: OrganizationId, consent_id: ConsentId
) -> ConsentSummary:
    """Return how much is stored under a consent. Raises NotFound when nothing is."""
    row = await statements.summarise_consent(
        connection, organization_id=organization_id, consent_id=consent_id
    )
    if not row.documents:
        raise NotFound(f"{organization_id} has nothing stored under {consent_id}")
    return ConsentSummary(
        consent_id=consent_id,
        documents=row.documents,
        predictions=row.predictions,
        content_bytes=row.bytes,
        data_bundles=await statements.list_data_bundles(
            connection, organization_id=organization_id, consent_id=consent_id
        ),
    )


async def delete_consent(
    connection: Connection,
    objects: ObjectStore,
    organization_id: OrganizationId,
    consent_id: ConsentId,
    *,
    prediction: AnyKind,
    progress: Progress = lambda _documents: None,
) -> int:
    """Delete the documents under a consent with their objects and predictions; return how many there were.

    They are also removed from data bundles; one that is being made follows with the next sweep.
    ``prediction`` is the kind of the jobs that predict.
    """
    deleted = 0
    while batch := await _delete_batch(connection, objects, organization_id, consent_id, prediction):
        deleted += batch
        progress(batch)
    await erase_deleted_documents(lambda: nullcontext(connection), objects, organization_id)
    return deleted


async def _delete_batch(
    connection: Connection,
    objects: ObjectStore,
    organization_id: OrganizationId,
    consent_id: ConsentId,
    prediction: AnyKind,
) -> int:
    async with connection.transaction():
        chosen = await statements.list_documents(
            connection,
            organization_id=organization_id,
            consent_id=consent_id,
            after_time=None,
            after_id=None,
            limit=BATCH_SIZE,
        )
        document_ids = [row.id for row in chosen]
        await _delete_predictions(connection, organization_id, document_ids, prediction)
        rows = await delete_documents(connection, organization_id, document_ids, consent_ids=[consent_id])
    # A prediction requested before the documents were deleted may be written only now.
    await _delete_predictions(connection, organization_id, document_ids, prediction)
    await delete_document_objects(objects, organization_id, rows)
    return len(rows)


async def _delete_predictions(
    connection: Connection,
    organization_id: OrganizationId,
    document_ids: list[DocumentId],
    prediction: AnyKind,
) -> None:
    """Delete predictions; pending ones are cancelled first, so that they are not counted."""
    async with connection.transaction():
        pending = await statements.list_pending_predictions(
            connection, organization_id=organization_id, document_ids=document_ids
        )
        for prediction_id in pending:
            await request_cancel(
                connection, prediction, organization_id=organization_id, subject_id=prediction_id
            )
        await statements.delete_predictions(
            connection, organization_id=organization_id, document_ids=document_ids
        )
