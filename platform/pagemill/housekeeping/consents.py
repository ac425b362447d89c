"""Data stored under a consent: its amount, and its deletion, also of what is left of deleted documents."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeAlias

import msgspec

from db import consents as statements
from db.statements import Connection
from pagemill.documents.deletion import delete_document_objects, delete_documents
from pagemill.errors import NotFound
from pagemill.housekeeping.value_erasure import ValueErasure
from pagemill.ids import ConsentId, DataBundleId, OrganizationId
from pagemill.jobs.kind import AnyKind
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
    """Return how much is stored under a consent. Raises NotFound when no document is."""
    summary = await measure_consent(connection, organization_id, consent_id)
    if not summary.documents:
        raise NotFound(f"{organization_id} has nothing stored under {consent_id}")
    return summary


async def measure_consent(
    connection: Connection, organization_id: OrganizationId, consent_id: ConsentId
) -> ConsentSummary:
    """Return how much is stored under a consent, also when that is nothing."""
    row = await statements.summarise_consent(
        connection, organization_id=organization_id, consent_id=consent_id
    )
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
    patience: float,
    progress: Progress = lambda _documents: None,
) -> int:
    """Delete the documents under a consent with all that holds their values; return how many there were.

    What is left of documents that were deleted before is erased as well. Data bundles that are being made,
    and open executions, follow by themselves. ``prediction`` is the kind of the jobs that predict; see
    ``ValueErasure`` for ``patience``.
    """
    deleted = 0
    while batch := await _delete_batch(connection, objects, organization_id, consent_id):
        deleted += batch
        progress(batch)
    erasure = ValueErasure(
        lambda: nullcontext(connection), objects, organization_id, prediction=prediction, patience=patience
    )
    await erasure.run()
    return deleted


async def _delete_batch(
    connection: Connection, objects: ObjectStore, organization_id: OrganizationId, consent_id: ConsentId
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
        rows = await delete_documents(connection, organization_id, document_ids, consent_ids=[consent_id])
    await delete_document_objects(objects, organization_id, rows)
    return len(rows)
