"""Documents: ``/documents``."""

from __future__ import annotations

import base64
import logging
from typing import Annotated, Any, Literal

import asyncpg
from litestar import Controller, Request, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from db import documents as statements
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import RequestConnection, release_connection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    ValidConsentId,
    ValidDatasetId,
    ValidDocumentId,
    checked_metadata,
    require_members,
)
from pagemill.api.resources.document_changes import change_document, insert_document
from pagemill.api.resources.document_schemas import (
    Document,
    Documents,
    PatchDocument,
    PostDocument,
    to_document,
)
from pagemill.api.resources.ground_truth import checked_ground_truth
from pagemill.documents.content import (
    MAXIMUM_INLINE_BYTES,
    READ_ATTEMPTS,
    decode_inline_document,
    forgotten_unless_named,
    inline_source,
    store_content,
)
from pagemill.documents.removal import remove_documents, remove_objects
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import DocumentId, new_id
from pagemill.objects import ObjectMissing, ObjectStore

logger = logging.getLogger("pagemill.api.resources.documents")

Order = Literal["ascending", "descending"]
DatasetIds = Annotated[list[ValidDatasetId] | None, Parameter(query="datasetId")]
ConsentIds = Annotated[list[ValidConsentId] | None, Parameter(query="consentId")]
DocumentIds = Annotated[list[ValidDocumentId] | None, Parameter(query="documentId")]
SortBy = Annotated[Literal["createdTime"] | None, Parameter(query="sortBy")]

DELETE_QUERY = {"maxResults", "nextToken", "datasetId", "consentId"}


def document_not_found(document_id: str) -> NotFound:
    return NotFound(f"Document {document_id} not found")


async def find_document(app_state: AppState, caller: Caller, document_id: str) -> asyncpg.Record:
    """The document's row. The connection is given back: its bytes can take minutes. Raises NotFound."""
    async with app_state.connection() as connection:
        row = await statements.GET_DOCUMENT.fetch_one(connection, caller.organization_id, document_id)
    if row is None:
        raise document_not_found(document_id)
    return row


class DocumentController(Controller):
    path = "/documents"
    tags = ("Documents",)

    @post(status_code=200, transaction="own")
    async def create_document(self, data: PostDocument, caller: Caller, app_state: AppState) -> Document:
        document_id = new_id(DocumentId)
        ground_truth = checked_ground_truth(data.ground_truth or [])
        checked_metadata(data.metadata)
        stored = None
        if data.content is not UNSET:
            source = inline_source(decode_inline_document(data.content))
            stored = await store_content(app_state.objects, caller.organization_id, document_id, source)
        async with (
            forgotten_unless_named(app_state.objects, stored.key if stored else None),
            app_state.connection() as connection,
            connection.transaction(),
        ):
            row = await insert_document(connection, caller, document_id, data, ground_truth, stored)
        return to_document(row, app_state)

    @get()
    async def list_documents(
        self,
        caller: Caller,
        connection: RequestConnection,
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
        connection: RequestConnection,
        app_state: AppState,
        page: PageRequest,
        dataset_id: DatasetIds = None,
        consent_id: ConsentIds = None,
    ) -> Documents:
        """Delete up to 1000 documents; without a filter, all of the organization's, call by call."""
        if unknown := sorted(set(request.query_params) - DELETE_QUERY):
            # A filter that is not understood must not delete what it was meant to spare.
            raise BadRequest(f"{unknown[0]}: is not a filter of DELETE /documents")
        rows = await statements.DOCUMENTS_TO_DELETE.fetch(
            connection, caller.organization_id, dataset_id, consent_id, *page.after, page.limit
        )
        chosen, token = cut(rows, page)
        deleted = await remove_documents(
            connection,
            caller.organization_id,
            [row["id"] for row in chosen],
            dataset_ids=dataset_id,
            consent_ids=consent_id,
        )
        # Storage may be slow: meanwhile others need the connection.
        await release_connection(request.scope)
        await remove_objects(app_state.objects, caller.organization_id, deleted)
        return Documents(
            documents=[to_document(row, app_state) for row in deleted],
            next_token=token,
            dataset_id=dataset_id or UNSET,
            consent_id=consent_id or UNSET,
        )

    @get("/{document_id:str}")
    async def get_document(
        self,
        document_id: str,
        request: Request[Any, Any, Any],
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Document:
        row = await statements.GET_DOCUMENT.fetch_one(connection, caller.organization_id, document_id)
        if row is None:
            raise document_not_found(document_id)
        # Bytes may be long in coming: meanwhile others need the connection.
        await release_connection(request.scope)
        for _ in range(READ_ATTEMPTS):
            try:
                return to_document(row, app_state, await _inline_content(app_state.objects, row))
            except ObjectMissing:
                # An upload has replaced the content since the row was read.
                row = await find_document(app_state, caller, document_id)
        logger.error("the content of %s is missing", document_id)
        return to_document(row, app_state)

    @patch("/{document_id:str}")
    async def update_document(
        self,
        document_id: str,
        data: PatchDocument,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Document:
        require_members(data)
        async with connection.transaction():
            row = await change_document(connection, caller, document_id, data)
        if row is None:
            raise document_not_found(document_id)
        return to_document(row, app_state)

    @delete("/{document_id:str}", status_code=200)
    async def delete_document(
        self,
        document_id: str,
        request: Request[Any, Any, Any],
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Document:
        rows = await remove_documents(connection, caller.organization_id, [document_id])
        if not rows:
            raise document_not_found(document_id)
        # Storage may be slow: meanwhile others need the connection.
        await release_connection(request.scope)
        await remove_objects(app_state.objects, caller.organization_id, rows)
        return to_document(rows[0], app_state)


async def _inline_content(objects: ObjectStore, row: asyncpg.Record) -> str | UnsetType:
    if row["content_key"] is None or row["content_size"] > MAXIMUM_INLINE_BYTES:
        return UNSET
    return base64.b64encode(await objects.get(row["content_key"])).decode()
