"""Documents: ``/documents``."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import asyncpg
from litestar import Controller, Request, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import documents as statements
from db.statements import Connection
from pagemill.api.contents import (
    MAXIMUM_INLINE_BYTES,
    MAXIMUM_INLINE_CHARACTERS,
    StoredContent,
    decode_inline,
    inline_source,
    store_content,
)
from pagemill.api.datasets import DEFAULT_RETENTION_IN_DAYS, count_document, dataset_retention
from pagemill.api.ground_truth import GroundTruth, GroundTruthItem, checked_ground_truth
from pagemill.api.paging import PageRequest, cut
from pagemill.api.schemas import (
    ConsentId,
    DatasetId,
    Metadata,
    RequestStruct,
    ResponseStruct,
    RetentionInDays,
    Text,
    change,
    checked_metadata,
    require_members,
    timestamp,
)
from pagemill.api.security import Caller
from pagemill.api.state import AppState
from pagemill.errors import BadRequest, NotFound, PagemillError
from pagemill.ids import new_id
from pagemill.objects import ObjectStore
from pagemill.objects.keys import document_prefix
from pagemill.usage.counting import count

logger = logging.getLogger("pagemill.api.documents")

ContentType = Literal["application/pdf", "image/jpeg", "image/png", "image/tiff", "image/webp"]
Order = Literal["ascending", "descending"]
DatasetIds = Annotated[list[str] | None, Parameter(query="datasetId")]
ConsentIds = Annotated[list[str] | None, Parameter(query="consentId")]
DocumentIds = Annotated[list[str] | None, Parameter(query="documentId")]
SortBy = Annotated[Literal["createdTime"] | None, Parameter(query="sortBy")]

DELETE_QUERY = {"maxResults", "nextToken", "datasetId", "consentId"}
DELETED_AT_ONCE = 16


class PostDocument(RequestStruct):
    """Without ``content`` the document is created empty; its bytes are then PUT to ``fileUrl``."""

    content: Annotated[str, Meta(min_length=1, max_length=MAXIMUM_INLINE_CHARACTERS)] | UnsetType = UNSET
    content_type: ContentType | None = None
    consent_id: ConsentId | UnsetType = UNSET
    dataset_id: DatasetId | UnsetType = UNSET
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    ground_truth: list[GroundTruthItem] | None = None
    retention_in_days: RetentionInDays | UnsetType = UNSET


class PatchDocument(RequestStruct):
    """null clears name, description and groundTruth; groundTruth is replaced as a whole."""

    dataset_id: DatasetId | UnsetType = UNSET
    name: Text | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    ground_truth: list[GroundTruthItem] | None | UnsetType = UNSET
    retention_in_days: RetentionInDays | UnsetType = UNSET


class Document(ResponseStruct):
    """``content`` (base64) is there when one document is asked for, unless it is large or not uploaded yet."""

    document_id: str
    dataset_id: str | UnsetType = UNSET
    consent_id: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    content_type: str | None
    content_md5: str | None = None
    file_url: str
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    ground_truth: list[dict[str, Any]]
    retention_in_days: int
    created_time: str | None
    created_by: str | None
    updated_time: str | None
    updated_by: str | None


class Documents(ResponseStruct):
    documents: list[Document]
    next_token: str | None
    dataset_id: list[str] | UnsetType = UNSET
    consent_id: list[str] | UnsetType = UNSET
    sort_by: str | UnsetType = UNSET
    order: str | UnsetType = UNSET


def to_document(row: asyncpg.Record, state: AppState, content: str | UnsetType = UNSET) -> Document:
    return Document(
        document_id=row["id"],
        dataset_id=row["dataset_id"] or UNSET,
        consent_id=row["consent_id"] or UNSET,
        content=content,
        content_type=row["content_type"],
        content_md5=row["content_md5"],
        file_url=f"{state.settings.public_url}/v1/files/{row['id']}",
        name=row["name"],
        description=row["description"],
        metadata=row["metadata"],
        ground_truth=row["ground_truth"],
        retention_in_days=row["retention_in_days"],
        created_time=timestamp(row["created_time"]),
        created_by=row["created_by"],
        updated_time=timestamp(row["updated_time"]),
        updated_by=row["updated_by"],
    )


def document_not_found(document_id: str) -> NotFound:
    return NotFound(f"Document {document_id} not found")


class DocumentController(Controller):
    path = "/documents"
    tags = ("Documents",)

    @post(status_code=200)
    async def create_document(
        self, data: PostDocument, caller: Caller, connection: Connection, app_state: AppState
    ) -> Document:
        document_id = new_id("document")
        ground_truth = checked_ground_truth(data.ground_truth or [])
        checked_metadata(data.metadata)
        stored = None
        if data.content is not UNSET:
            source = inline_source(decode_inline(data.content))
            stored = await store_content(app_state.objects, caller.organization_id, document_id, source)
        try:
            row = await _insert(connection, caller, document_id, data, ground_truth, stored)
        except BaseException:
            if stored is not None:
                await app_state.objects.delete(stored.key)
            raise
        return to_document(row, app_state)

    @get()
    async def list_documents(
        self,
        caller: Caller,
        connection: Connection,
        app_state: AppState,
        page: PageRequest,
        dataset_id: DatasetIds = None,
        consent_id: ConsentIds = None,
        document_id: DocumentIds = None,
        sort_by: SortBy = None,
        order: Order | None = None,
    ) -> Documents:
        rows = await statements.LIST_DOCUMENTS[order or "ascending"].fetch(
            connection,
            caller.organization_id,
            dataset_id,
            consent_id,
            document_id,
            *page.after,
            page.limit,
        )
        shown, token = cut(rows, page)
        return Documents(
            documents=[to_document(row, app_state) for row in shown],
            next_token=token,
            dataset_id=dataset_id or UNSET,
            consent_id=consent_id or UNSET,
            sort_by=sort_by or UNSET,
            order=order or UNSET,
        )

    @delete(status_code=200)
    async def delete_documents(
        self,
        request: Request[Any, Any, Any],
        caller: Caller,
        connection: Connection,
        app_state: AppState,
        page: PageRequest,
        dataset_id: DatasetIds = None,
        consent_id: ConsentIds = None,
    ) -> Documents:
        """Delete up to 1000 documents; without a filter, all of the organization's, call by call."""
        if unknown := sorted(set(request.query_params) - DELETE_QUERY):
            # A filter that is not understood must not delete what it was meant to spare.
            raise BadRequest(f"{unknown[0]}: is not a filter of DELETE /documents")
        rows = await statements.LIST_DOCUMENTS["ascending"].fetch(
            connection, caller.organization_id, dataset_id, consent_id, None, *page.after, page.limit
        )
        chosen, token = cut(rows, page)
        deleted = await _delete(connection, caller, [row["id"] for row in chosen])
        await _delete_objects(app_state.objects, caller, deleted)
        return Documents(
            documents=[to_document(row, app_state) for row in deleted],
            next_token=token,
            dataset_id=dataset_id or UNSET,
            consent_id=consent_id or UNSET,
        )

    @get("/{document_id:str}")
    async def get_document(
        self, document_id: str, caller: Caller, connection: Connection, app_state: AppState
    ) -> Document:
        row = await statements.GET_DOCUMENT.fetch_one(connection, caller.organization_id, document_id)
        if row is None:
            raise document_not_found(document_id)
        return to_document(row, app_state, await _inline_content(app_state.objects, row))

    @patch("/{document_id:str}")
    async def update_document(
        self,
        document_id: str,
        data: PatchDocument,
        caller: Caller,
        connection: Connection,
        app_state: AppState,
    ) -> Document:
        require_members(data)
        checked_metadata(data.metadata)
        async with connection.transaction():
            before = await statements.LOCK_DOCUMENT.fetch_one(
                connection, caller.organization_id, document_id
            )
            if before is None:
                raise document_not_found(document_id)
            after = await _update(connection, caller, data, before)
        return to_document(after, app_state)

    @delete("/{document_id:str}", status_code=200)
    async def delete_document(
        self, document_id: str, caller: Caller, connection: Connection, app_state: AppState
    ) -> Document:
        rows = await _delete(connection, caller, [document_id])
        if not rows:
            raise document_not_found(document_id)
        await _delete_objects(app_state.objects, caller, rows)
        return to_document(rows[0], app_state)


async def _insert(
    connection: Connection,
    caller: Caller,
    document_id: str,
    data: PostDocument,
    ground_truth: GroundTruth,
    stored: StoredContent | None,
) -> asyncpg.Record:
    dataset_id = None if data.dataset_id is UNSET else data.dataset_id
    retention = DEFAULT_RETENTION_IN_DAYS if data.retention_in_days is UNSET else data.retention_in_days
    async with connection.transaction():
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
        await count_document(connection, caller, dataset_id, documents=1, after=ground_truth)
    assert row is not None
    return row


async def _update(
    connection: Connection, caller: Caller, data: PatchDocument, before: asyncpg.Record
) -> asyncpg.Record:
    moved = data.dataset_id is not UNSET and data.dataset_id != before["dataset_id"]
    retention = None if data.retention_in_days is UNSET else data.retention_in_days
    if moved:
        assert isinstance(data.dataset_id, str)
        limit = await dataset_retention(connection, caller, data.dataset_id)
        retention = min(before["retention_in_days"] if retention is None else retention, limit)
    truth = None if data.ground_truth is UNSET else checked_ground_truth(data.ground_truth or [])
    after = await statements.UPDATE_DOCUMENT.fetch_one(
        connection,
        caller.organization_id,
        before["id"],
        *change(data.name),
        *change(data.description),
        *change(data.metadata),
        truth,
        None if data.dataset_id is UNSET else data.dataset_id,
        retention,
        caller.principal_id,
    )
    assert after is not None
    await _count_update(connection, caller, before, after)
    return after


async def _count_update(
    connection: Connection, caller: Caller, before: asyncpg.Record, after: asyncpg.Record
) -> None:
    source, target = before["dataset_id"], after["dataset_id"]
    if source == target:
        await count_document(
            connection,
            caller,
            target,
            documents=0,
            before=before["ground_truth"],
            after=after["ground_truth"],
        )
        return
    # Rows are locked in the order of their ids: two documents that change places never wait for each other.
    for dataset_id in sorted(filter(None, (source, target))):
        if dataset_id == source:
            await count_document(
                connection, caller, source, documents=-1, before=before["ground_truth"]
            )
        else:
            await count_document(connection, caller, target, documents=1, after=after["ground_truth"])


async def _delete(
    connection: Connection, caller: Caller, document_ids: Sequence[str]
) -> list[asyncpg.Record]:
    async with connection.transaction():
        rows = await statements.DELETE_DOCUMENTS.fetch(
            connection, caller.organization_id, list(document_ids)
        )
        by_dataset: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            if row["dataset_id"] is not None:
                by_dataset[row["dataset_id"]].append(row)
        for dataset_id in sorted(by_dataset):
            gone = by_dataset[dataset_id]
            truth = [item for row in gone for item in row["ground_truth"]]
            await count_document(
                connection, caller, dataset_id, documents=-len(gone), changes=len(gone), before=truth
            )
    return sorted(rows, key=lambda row: (row["created_time"], row["id"]))


async def _delete_objects(objects: ObjectStore, caller: Caller, rows: Sequence[asyncpg.Record]) -> None:
    """Best effort: the rows are gone, so what stays behind can be reached by nobody and is swept later."""
    gate = asyncio.Semaphore(DELETED_AT_ONCE)

    async def remove(document_id: str) -> None:
        async with gate:
            try:
                await objects.delete_prefix(document_prefix(caller.organization_id, document_id))
            except PagemillError as error:
                logger.warning("objects of %s were not deleted: %s", document_id, error.detail)

    await asyncio.gather(*(remove(row["id"]) for row in rows))


async def _inline_content(objects: ObjectStore, row: asyncpg.Record) -> str | UnsetType:
    if row["content_key"] is None or row["content_size"] > MAXIMUM_INLINE_BYTES:
        return UNSET
    return base64.b64encode(await objects.get(row["content_key"])).decode()
