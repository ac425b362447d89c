"""Documents: ``/documents``."""

from __future__ import annotations

import base64
import dataclasses
import logging
from typing import Annotated, Any, Literal

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType, field

from db import documents as statements
from db.documents import DocumentRow
from db.keyset import Order
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.auditing import RequestAudit
from pagemill.api.http.connections import RequestConnection, release_connection
from pagemill.api.http.paging import PageRequest, cut, permitted
from pagemill.api.http.request_bodies import CONTENT_BODY_BYTES, LABELS_BODY_BYTES
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.schemas import (
    Audited,
    Metadata,
    RequestStruct,
    ResponseStruct,
    RetentionInDays,
    Text,
    ValidConsentId,
    ValidDatasetId,
    ValidDocumentId,
    audit,
    checked_metadata,
    require_members,
)
from pagemill.api.resources.ground_truth import GroundTruthItem, check_ground_truth
from pagemill.documents.changes import (
    DEFAULT_RETENTION_IN_DAYS,
    DocumentChanges,
    NewDocument,
    insert_document,
    update_document,
)
from pagemill.documents.content import (
    MAXIMUM_INLINE_BYTES,
    MAXIMUM_INLINE_CHARACTERS,
    READ_ATTEMPTS,
    decode_inline_document,
    delete_on_failure,
    inline_source,
    store_content,
)
from pagemill.documents.deletion import delete_document_objects, delete_documents
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import ConsentId, DatasetId, DocumentId, new_id
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.usage.counting import count

logger = logging.getLogger("pagemill.api.resources.documents")

ContentType = Literal["application/pdf", "image/jpeg", "image/png", "image/tiff", "image/webp"]
DocumentPath = Annotated[DocumentId, Parameter(description="las:document:<32 hexadecimal digits>")]
DatasetIds = Annotated[list[ValidDatasetId] | None, Parameter(query="datasetId")]
ConsentIds = Annotated[list[ValidConsentId] | None, Parameter(query="consentId")]
DocumentIds = Annotated[list[ValidDocumentId] | None, Parameter(query="documentId")]
SortBy = Annotated[Literal["createdTime"] | None, Parameter(query="sortBy")]

DELETE_QUERY = {"maxResults", "nextToken", "datasetId", "consentId"}


class PostDocument(RequestStruct):
    """A new document. Without ``content`` it is created empty; PUT its bytes to its ``fileUrl`` then."""

    content: Annotated[str, Meta(min_length=1, max_length=MAXIMUM_INLINE_CHARACTERS)] | UnsetType = UNSET
    content_type: ContentType | None = None
    consent_id: ValidConsentId | UnsetType = UNSET
    dataset_id: ValidDatasetId | UnsetType = UNSET
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    ground_truth: list[GroundTruthItem] | None = None
    retention_in_days: RetentionInDays | UnsetType = UNSET


class PatchDocument(RequestStruct):
    """Changes of a document. null clears name, description and groundTruth, which is replaced as a whole."""

    dataset_id: ValidDatasetId | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    ground_truth: list[GroundTruthItem] | UnsetType | None = UNSET
    retention_in_days: RetentionInDays | UnsetType = UNSET


class Document(Audited, kw_only=True):
    """A document. ``content`` (base64) is present when one document is requested and its file is small."""

    document_id: str
    dataset_id: str | UnsetType = UNSET
    consent_id: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    content_type: str | None
    content_md5: str | None = field(name="contentMD5")
    file_url: str
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    ground_truth: list[dict[str, Any]]
    retention_in_days: int


class Documents(ResponseStruct):
    """A page of documents, with the filters and the order that were asked for."""

    documents: list[Document]
    next_token: str | None
    dataset_id: list[DatasetId] | UnsetType = UNSET
    consent_id: list[ConsentId] | UnsetType = UNSET
    sort_by: str | UnsetType = UNSET
    order: str | UnsetType = UNSET


def to_document(row: DocumentRow, state: AppState, content: str | UnsetType = UNSET) -> Document:
    """Return a document as the API shows it."""
    return Document(
        document_id=row.id,
        dataset_id=row.dataset_id or UNSET,
        consent_id=row.consent_id or UNSET,
        content=content,
        content_type=row.content_type,
        content_md5=row.content_md5,
        file_url=f"{state.settings.public_url}/v1/files/{row.id}",
        name=row.name,
        description=row.description,
        metadata=row.metadata,
        ground_truth=row.ground_truth,
        retention_in_days=row.retention_in_days,
        **audit(row),
    )


def document_not_found(document_id: DocumentId) -> NotFound:
    """Return the error for a document that does not exist, has expired, or is another organization's."""
    return NotFound(f"Document {document_id} not found")


async def find_document(app_state: AppState, caller: Caller, document_id: DocumentId) -> DocumentRow:
    """Return a document's row, without keeping a connection. Raises NotFound."""
    async with app_state.connection() as connection:
        row = await statements.get_document(
            connection, organization_id=caller.organization_id, document_id=document_id
        )
    if row is None:
        raise document_not_found(document_id)
    return row


class DocumentController(Controller):
    """Operations on documents."""

    path = "/documents"
    tags = ("Documents",)

    @post(status_code=200, transaction="own", request_max_body_size=CONTENT_BODY_BYTES)
    async def create_document(self, data: PostDocument, caller: Caller, app_state: AppState) -> Document:
        """Create a document.

        Send its file as base64 in `content` (at most 6,250,000 characters), or create the document without
        and PUT the bytes to its `fileUrl` (at most 64 MB). A file is a PDF, JPEG, PNG, TIFF or WebP; its type
        is recognised from the bytes, whatever `contentType` says. A document expires `retentionInDays` days
        (default 1825) after its creation, or earlier if its dataset keeps documents for a shorter time.
        `consentId` is an id of your own: documents with the same one can be listed and deleted together.
        """
        document = await _new_document(data)
        if data.content is not UNSET:
            source = inline_source(decode_inline_document(data.content))
            stored = await store_content(app_state.objects, caller.organization_id, document.id, source)
            document = dataclasses.replace(document, content=stored)
        async with (
            delete_on_failure(app_state.objects, document.content.key if document.content else None),
            app_state.connection() as connection,
            connection.transaction(),
        ):
            row = await insert_document(connection, caller.organization_id, caller.principal_id, document)
            await count(connection, caller.organization_id, "documents")
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
        """List documents.

        Each filter can be repeated: a document is listed if each filter that is given has one of its values.
        Documents are sorted by the time of their creation, oldest first unless `order` is `descending`. They
        come without `content`.
        """
        rows = await statements.list_documents(
            connection,
            organization_id=caller.organization_id,
            dataset_ids=dataset_id,
            consent_ids=consent_id,
            document_ids=document_id,
            order=order or "ascending",
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
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
        request: ApiRequest,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
        audited: RequestAudit,
        page: PageRequest,
        dataset_id: DatasetIds = None,
        consent_id: ConsentIds = None,
    ) -> Documents:
        """Delete several documents.

        Deletes the documents of the datasets and consents that are given, at most `maxResults` (default 100,
        at most 1000), and returns them. Call again with `nextToken` until it is null. Without a filter it
        deletes all documents of the organization. What was made of a document goes with it, as when a single
        one is deleted. Documents that a role of the caller denies to write are spared.
        """
        if unknown := sorted(set(request.query_params) - DELETE_QUERY):
            # A filter that is not understood must not delete what it was meant to spare.
            raise BadRequest(f"{unknown[0]}: is not a filter of DELETE /documents")
        rows = await statements.list_documents_to_delete(
            connection,
            organization_id=caller.organization_id,
            dataset_ids=dataset_id,
            consent_ids=consent_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        chosen, token = cut(rows, page, action="write")
        deleted = await delete_documents(
            connection,
            caller.organization_id,
            [row.id for row in chosen],
            dataset_ids=dataset_id,
            consent_ids=consent_id,
        )
        audited.details["numberOfDocuments"] = len(deleted)
        # Storage may be slow: meanwhile others need the connection.
        await release_connection(request.scope)
        await delete_document_objects(app_state.objects, caller.organization_id, deleted)
        return Documents(
            documents=[to_document(row, app_state) for row in permitted(deleted, page.permissions, "read")],
            next_token=token,
            dataset_id=dataset_id or UNSET,
            consent_id=consent_id or UNSET,
        )

    @get("/{document_id:str}")
    async def get_document(
        self,
        document_id: DocumentPath,
        request: ApiRequest,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Document:
        """Get a document.

        `content` has its file as base64, unless the file is not uploaded yet or is larger than 4.7 MB: GET
        the bytes from `fileUrl` then.
        """
        row = await statements.get_document(
            connection, organization_id=caller.organization_id, document_id=document_id
        )
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

    @patch("/{document_id:str}", request_max_body_size=LABELS_BODY_BYTES)
    async def update_document(
        self,
        document_id: DocumentPath,
        data: PatchDocument,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Document:
        """Update a document.

        At least one member is required; members that are not sent keep their values. `groundTruth` replaces
        the whole list. `datasetId` moves the document into that dataset, and shortens its retention to the
        dataset's if that is shorter.
        """
        require_members(data)
        changes = await _changes(data)
        async with connection.transaction():
            row = await update_document(
                connection, caller.organization_id, caller.principal_id, document_id, changes
            )
        if row is None:
            raise document_not_found(document_id)
        return to_document(row, app_state)

    @delete("/{document_id:str}", status_code=200)
    async def delete_document(
        self,
        document_id: DocumentPath,
        request: ApiRequest,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Document:
        """Delete a document.

        Deletes its file, words, thumbnails and predictions too, and returns the document. Executions that
        name it are emptied when they have ended: their input, output, events and logs.
        """
        rows = await delete_documents(connection, caller.organization_id, [document_id])
        if not rows:
            raise document_not_found(document_id)
        # Storage may be slow: meanwhile others need the connection.
        await release_connection(request.scope)
        await delete_document_objects(app_state.objects, caller.organization_id, rows)
        return to_document(rows[0], app_state)


async def _new_document(data: PostDocument) -> NewDocument:
    """Return the document that a request describes, without its content. Raises BadRequest."""
    return NewDocument(
        id=new_id(DocumentId),
        dataset_id=None if data.dataset_id is UNSET else data.dataset_id,
        consent_id=None if data.consent_id is UNSET else data.consent_id,
        name=data.name,
        description=data.description,
        metadata=checked_metadata(data.metadata),
        ground_truth=await check_ground_truth(data.ground_truth or []),
        retention_in_days=(
            DEFAULT_RETENTION_IN_DAYS if data.retention_in_days is UNSET else data.retention_in_days
        ),
        content=None,
    )


async def _changes(data: PatchDocument) -> DocumentChanges:
    """Return the changes that a request describes. Raises BadRequest."""
    labels = UNSET if data.ground_truth is UNSET else await check_ground_truth(data.ground_truth or [])
    return DocumentChanges(
        dataset_id=data.dataset_id,
        name=data.name,
        description=data.description,
        metadata=checked_metadata(data.metadata),
        ground_truth=labels,
        retention_in_days=data.retention_in_days,
    )


async def _inline_content(objects: ObjectStore, row: DocumentRow) -> str | UnsetType:
    if row.content_key is None or row.content_size is None or row.content_size > MAXIMUM_INLINE_BYTES:
        return UNSET
    return base64.b64encode(await objects.get(row.content_key)).decode()
