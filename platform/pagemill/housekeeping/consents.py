"""What is stored under a consent: how much it is, and its deletion."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from db import consents as statements
from db.statements import Connection
from pagemill.documents.removal import remove_documents, remove_objects
from pagemill.errors import NotFound
from pagemill.jobs.queue import request_cancel
from pagemill.objects import ObjectStore

DELETED_AT_ONCE = 200

Progress = Callable[[int], None]
"""Is told how many more documents are done."""


class ConsentSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``data_bundles`` are made of datasets in which such documents are: they may hold what those said."""

    consent_id: str
    documents: int
    predictions: int
    content_bytes: int
    data_bundles: list[str]


async def summarise_consent(connection: Connection, organization_id: str, consent_id: str) -> ConsentSummary:
    """Raises NotFound when nothing is stored under the consent."""
    row = await statements.CONSENT_SUMMARY.fetch_one(connection, organization_id, consent_id)
    assert row is not None
    if not row["documents"]:
        raise NotFound(f"{organization_id} has nothing stored under {consent_id}")
    bundles = await statements.CONSENT_DATA_BUNDLES.fetch(connection, organization_id, consent_id)
    return ConsentSummary(
        consent_id=consent_id,
        documents=row["documents"],
        predictions=row["predictions"],
        content_bytes=row["bytes"],
        data_bundles=[bundle["id"] for bundle in bundles],
    )


async def delete_consent(
    connection: Connection,
    objects: ObjectStore,
    organization_id: str,
    consent_id: str,
    *,
    progress: Progress = lambda _documents: None,
) -> int:
    """Delete the documents, their objects and the predictions of them; how many documents there were."""
    deleted = 0
    while gone := await _delete_some(connection, objects, organization_id, consent_id):
        deleted += gone
        progress(gone)
    return deleted


async def _delete_some(
    connection: Connection, objects: ObjectStore, organization_id: str, consent_id: str
) -> int:
    async with connection.transaction():
        chosen = await statements.CONSENT_DOCUMENTS.fetch(
            connection, organization_id, consent_id, None, None, DELETED_AT_ONCE
        )
        ids = [row["id"] for row in chosen]
        await _delete_predictions(connection, organization_id, ids)
        rows = await remove_documents(connection, organization_id, ids, consent_ids=[consent_id])
    # Asked for before the documents were gone, and written only now.
    await _delete_predictions(connection, organization_id, ids)
    await remove_objects(objects, organization_id, rows)
    return len(rows)


async def _delete_predictions(connection: Connection, organization_id: str, document_ids: list[str]) -> None:
    """Those that are still worked on are cancelled first, so that they are not counted."""
    async with connection.transaction():
        pending = await statements.PENDING_PREDICTIONS.fetch(connection, organization_id, document_ids)
        for prediction in pending:
            await request_cancel(connection, organization_id, prediction["id"])
        await statements.DELETE_PREDICTIONS.execute(connection, organization_id, document_ids)
