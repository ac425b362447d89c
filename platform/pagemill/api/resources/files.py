"""Files of documents, as uploaded or as thumbnails: ``/files/{documentId}``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from litestar import Controller, MediaType, Response, get, put
from litestar.datastructures import Headers
from litestar.params import Parameter
from litestar.response import Stream
from msgspec import field

from db.documents import lock_document, update_content
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.schemas import ResponseStruct
from pagemill.api.resources.documents import DocumentPath, document_not_found, find_document
from pagemill.documents.content import (
    READ_ATTEMPTS,
    StoredContent,
    content_of,
    delete_on_failure,
    store_content,
)
from pagemill.documents.thumbnails.cache import Download
from pagemill.documents.thumbnails.thumbnail import (
    HIGHEST_DENSITY,
    LONGEST_SIDE,
    Thumbnail,
    parse_thumbnail,
    thumbnail_content_type,
    thumbnail_name,
    thumbnail_of,
)
from pagemill.errors import NotFound
from pagemill.ids import DocumentId
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.objects.discarding import discard
from pagemill.objects.keys import thumbnails_prefix

Side = Annotated[int | None, Parameter(ge=1, le=LONGEST_SIDE)]
PageIndex = Annotated[str | None, Parameter(query="page", description="an integer")]
Density = Annotated[int | None, Parameter(ge=1, le=HIGHEST_DENSITY)]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class StoredFile(ResponseStruct):
    """The recognised type of an uploaded file, and its hash."""

    document_id: str
    content_type: str
    content_md5: str = field(name="contentMD5")


class FileController(Controller):
    """Uploads and downloads of documents' files."""

    path = "/files"
    tags = ("Files",)

    @put("/{document_id:str}", status_code=200, request_max_body_size=None, binary_body=True)
    async def put_file(
        self, document_id: DocumentPath, request: ApiRequest, caller: Caller, app_state: AppState
    ) -> StoredFile:
        """Upload the file of a document.

        The body is the raw bytes of a PDF, JPEG, PNG, TIFF or WebP of at most 64 MB. The type is recognised
        from the bytes; the Content-Type header is ignored. The new file replaces the former one once it is
        complete; an upload that ends early changes nothing.
        """
        await find_document(app_state, caller, document_id)
        length = request.headers.get("content-length", "")
        stored = await store_content(
            app_state.objects,
            caller.organization_id,
            document_id,
            request.stream(),
            member="file",
            announced=int(length) if length.isascii() and length.isdigit() else None,
        )
        replaced = await _switch(app_state, caller, document_id, stored)
        if replaced is not None:
            await discard(app_state.objects, keys=[replaced], prefixes=[thumbnails_prefix(replaced)])
        return StoredFile(document_id=document_id, content_type=stored.content_type, content_md5=stored.md5)

    @get("/{document_id:str}", binary_answer=True, own_connection=True)
    async def get_file(
        self,
        document_id: DocumentPath,
        request: ApiRequest,
        caller: Caller,
        app_state: AppState,
        width: Side = None,
        height: Side = None,
        page_index: PageIndex = None,
        rotation: int | None = None,
        density: Density = None,
        quality: Literal["low"] | None = None,
    ) -> Response[Any]:
        """Download the file of a document, or a thumbnail of it.

        Without parameters it is the file as it was uploaded. With `width` or `height` (pixels, at most 4096;
        with one of them the page keeps its shape), `page` (from 0, or from -1 backwards), `rotation` (0, 90,
        180 or 270 degrees clockwise) or `density` (dots per inch of a PDF or TIFF, at most 600) it is a JPEG
        of one page. With `quality=low` alone it is a PDF with fewer bytes, or the file itself if that is not
        a PDF or cannot be made smaller. Range requests and ETags work for all of them.
        """
        requested = parse_thumbnail(
            width=width,
            height=height,
            page=page_index,
            rotation=rotation,
            density=density,
            quality=quality,
        )
        for _ in range(READ_ATTEMPTS):
            row = await find_document(app_state, caller, document_id)
            content = content_of(row)
            if content is None:
                break
            thumbnail = thumbnail_of(requested, content.content_type)
            etag = _etag(content, thumbnail)
            if etag in request.headers.get("if-none-match", ""):
                return _not_modified(etag, content, thumbnail)
            try:
                download = await app_state.thumbnails.download(
                    caller.organization_id, document_id, content, thumbnail
                )
                return await _respond(app_state.objects, download, etag, request.headers)
            except ObjectMissing:
                # An upload has replaced the content since the row was read.
                continue
        raise NotFound(f"Document {document_id} has no content")


def _etag(content: StoredContent, thumbnail: Thumbnail | None) -> str:
    name = "" if thumbnail is None else f"-{thumbnail_name(thumbnail)}"
    return f'"{content.md5}{name}"'


def _not_modified(etag: str, content: StoredContent, thumbnail: Thumbnail | None) -> Response[Any]:
    media_type = content.content_type if thumbnail is None else thumbnail_content_type(thumbnail)
    return Response(b"", status_code=304, headers=_validators(etag), media_type=media_type)


async def _respond(
    objects: ObjectStore, download: Download, etag: str, request_headers: Headers
) -> Response[Any]:
    """Return the bytes, or the range of them that is requested. Raises ObjectMissing."""
    headers, size = _validators(etag), download.size
    in_range = request_headers.get("if-range", etag) == etag
    part = requested_range(request_headers.get("range"), size) if in_range else None
    start, end = part or (0, size)
    if start >= end:
        headers["Content-Range"] = f"bytes */{size}"
        message = {"message": "The range lies outside the file"}
        return Response(message, status_code=416, headers=headers, media_type=MediaType.JSON)
    headers["Content-Length"] = str(end - start)
    headers["Content-Type"] = download.content_type
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    content = await _opened(objects.stream(download.key, start, end))
    return Stream(content, status_code=200 if part is None else 206, headers=headers)


def _validators(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}


def requested_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """Return the start and the (exclusive) end of a single byte range, None for the whole file.

    The range is empty when it lies outside the file.
    """
    match = _RANGE.fullmatch(asked.strip()) if asked else None
    if match is None or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


async def _opened(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Return the bytes of an object that exists. Raises ObjectMissing before the answer begins."""
    first = await anext(source)

    async def pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in source:
            yield piece

    return pieces()


async def _switch(
    app_state: AppState, caller: Caller, document_id: DocumentId, stored: StoredContent
) -> str | None:
    """Make a new object the document's content and return the key of the former one. Raises NotFound.

    The new object is deleted when that fails.
    """
    organization_id = caller.organization_id
    async with (
        delete_on_failure(app_state.objects, stored.key),
        app_state.connection() as connection,
        connection.transaction(),
    ):
        before = await lock_document(connection, organization_id=organization_id, document_id=document_id)
        if before is None:
            raise document_not_found(document_id)
        await update_content(
            connection,
            organization_id=organization_id,
            document_id=document_id,
            content_key=stored.key,
            content_type=stored.content_type,
            content_md5=stored.md5,
            content_size=stored.size,
        )
    return before.content_key
