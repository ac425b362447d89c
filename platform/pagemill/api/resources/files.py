"""The file server: bytes of documents, as uploaded or rendered, ``/files/{documentId}``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import asyncpg
from litestar import Controller, MediaType, Request, Response, get, put
from litestar.datastructures import Headers
from litestar.exceptions import InternalServerException
from litestar.params import Parameter
from litestar.response import Stream
from msgspec import field

from db.documents import LOCK_DOCUMENT, SWITCH_CONTENT
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.schemas import ResponseStruct
from pagemill.api.resources.documents import document_not_found, find_document
from pagemill.documents.content import (
    READ_ATTEMPTS,
    StoredContent,
    forgotten_unless_named,
    store_content,
)
from pagemill.documents.thumbnails.cache import (
    File,
    asked_rendition,
    rendition_for,
    rendition_name,
    rendition_type,
)
from pagemill.documents.thumbnails.messages import HIGHEST_DENSITY, LONGEST_SIDE, Rendition
from pagemill.errors import BadRequest, NotFound
from pagemill.objects import ObjectMissing
from pagemill.objects.keys import renditions_prefix
from pagemill.objects.removal import remove

Side = Annotated[int | None, Parameter(ge=1, le=LONGEST_SIDE)]
PageIndex = Annotated[str | None, Parameter(query="page", description="an integer")]
Density = Annotated[int | None, Parameter(ge=1, le=HIGHEST_DENSITY)]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class StoredFile(ResponseStruct):
    """What an upload was recognised as."""

    document_id: str
    content_type: str
    content_md5: str = field(name="contentMD5")


class FileController(Controller):
    path = "/files"
    tags = ("Files",)

    @put("/{document_id:str}", status_code=200, request_max_body_size=None, binary_body=True)
    async def put_file(
        self, document_id: str, request: Request[Any, Any, Any], caller: Caller, app_state: AppState
    ) -> StoredFile:
        """Replace a document's content by the raw bytes of the body, whatever type the client claims."""
        await find_document(app_state, caller, document_id)
        length = request.headers.get("content-length", "")
        stored = await store_content(
            app_state.objects,
            caller.organization_id,
            document_id,
            _body(request),
            member="file",
            announced=int(length) if length.isascii() and length.isdigit() else None,
        )
        replaced = await _switch(app_state, caller, document_id, stored)
        if replaced is not None:
            await remove(app_state.objects, keys=[replaced], prefixes=[renditions_prefix(replaced)])
        return StoredFile(document_id=document_id, content_type=stored.content_type, content_md5=stored.md5)

    @get("/{document_id:str}", binary_answer=True, own_connection=True)
    async def get_file(
        self,
        document_id: str,
        request: Request[Any, Any, Any],
        caller: Caller,
        app_state: AppState,
        width: Side = None,
        height: Side = None,
        page_index: PageIndex = None,
        rotation: int | None = None,
        density: Density = None,
        quality: Literal["low"] | None = None,
    ) -> Response[Any]:
        """The bytes as they were uploaded, a page of them as a JPEG, or a lighter PDF; or a range of either.

        ``page`` counts from 0, or from -1 backwards; ``rotation`` is in degrees clockwise, ``density`` in
        dots per inch of a PDF or TIFF. Any of these, ``width`` and ``height`` makes a JPEG.
        """
        asked = asked_rendition(
            width=width,
            height=height,
            page=page_index,
            rotation=rotation,
            density=density,
            quality=quality,
        )
        for _ in range(READ_ATTEMPTS):
            row = await find_document(app_state, caller, document_id)
            if row["content_key"] is None:
                break
            try:
                return await _answer(app_state, caller, row, asked, request.headers)
            except ObjectMissing:
                # An upload has replaced the content since the row was read.
                continue
        raise NotFound(f"Document {document_id} has no content")


async def _body(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """The body, or BadRequest when the client went away in the middle of it."""
    try:
        async for piece in request.stream():
            yield piece
    except InternalServerException:
        raise BadRequest("file: the upload was broken off") from None


async def _answer(
    app_state: AppState, caller: Caller, row: asyncpg.Record, asked: Rendition | None, headers: Headers
) -> Response[Any]:
    rendition = rendition_for(asked, row["content_type"])
    name = "" if rendition is None else f"-{rendition_name(rendition)}"
    etag = f'"{row["content_md5"]}{name}"'
    if etag in headers.get("if-none-match", ""):
        media_type = row["content_type"] if rendition is None else rendition_type(rendition)
        return Response(b"", status_code=304, headers=_validators(etag), media_type=media_type)
    file = await app_state.renditions.file_of(caller.organization_id, row, rendition)
    return await _download(app_state, file, etag, headers)


async def _download(app_state: AppState, file: File, etag: str, asked: Headers) -> Response[Any]:
    headers, size = _validators(etag), file.size
    part = requested_range(asked.get("range"), size) if asked.get("if-range", etag) == etag else None
    start, end = part or (0, size)
    if start >= end:
        headers["Content-Range"] = f"bytes */{size}"
        message = {"message": "The range lies outside the file"}
        return Response(message, status_code=416, headers=headers, media_type=MediaType.JSON)
    headers["Content-Length"] = str(end - start)
    headers["Content-Type"] = file.content_type
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    content = await _opened(app_state.objects.stream(file.key, start, end))
    return Stream(content, status_code=200 if part is None else 206, headers=headers)


def _validators(etag: str) -> dict[str, str]:
    return {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }


def requested_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """(start, end) of a single byte range, end exclusive; None for the whole; empty when it lies outside."""
    match = _RANGE.fullmatch(asked.strip()) if asked else None
    if match is None or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


async def _opened(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, of an object that is there: what is missing is known before the answer begins."""
    first = await anext(source)

    async def pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in source:
            yield piece

    return pieces()


async def _switch(app_state: AppState, caller: Caller, document_id: str, stored: StoredContent) -> str | None:
    """Make the new content the document's; the key of the old one. The new one goes when that fails."""
    async with (
        forgotten_unless_named(app_state.objects, stored.key),
        app_state.connection() as connection,
        connection.transaction(),
    ):
        before = await LOCK_DOCUMENT.fetch_one(connection, caller.organization_id, document_id)
        if before is None:
            raise document_not_found(document_id)
        await SWITCH_CONTENT.execute(
            connection,
            caller.organization_id,
            document_id,
            stored.key,
            stored.content_type,
            stored.md5,
            stored.size,
        )
    replaced: str | None = before["content_key"]
    return replaced
