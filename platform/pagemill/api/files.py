"""The file server: raw bytes of documents, ``/files/{documentId}``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from litestar import Controller, MediaType, Request, Response, get, put
from litestar.datastructures import Headers
from litestar.exceptions import InternalServerException
from litestar.response import Stream
from msgspec import field

from db.documents import LOCK_DOCUMENT, SWITCH_CONTENT
from pagemill.api.contents import (
    READ_ATTEMPTS,
    StoredContent,
    forgotten_unless_named,
    store_content,
)
from pagemill.api.documents import document_not_found, find_document
from pagemill.api.schemas import ResponseStruct
from pagemill.api.security import Caller
from pagemill.api.state import AppState
from pagemill.errors import BadRequest, NotFound
from pagemill.objects import ObjectMissing
from pagemill.objects.removal import remove

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class StoredFile(ResponseStruct):
    """What an upload was recognised as."""

    document_id: str
    content_type: str
    content_md5: str = field(name="contentMD5")


class FileController(Controller):
    path = "/files"
    tags = ("Files",)

    @put("/{document_id:str}", status_code=200, request_max_body_size=None)
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
            await remove(app_state.objects, keys=[replaced])
        return StoredFile(document_id=document_id, content_type=stored.content_type, content_md5=stored.md5)

    @get("/{document_id:str}")
    async def get_file(
        self, document_id: str, request: Request[Any, Any, Any], caller: Caller, app_state: AppState
    ) -> Response[Any]:
        """The bytes as they were uploaded, or the range of them that is asked for."""
        for _ in range(READ_ATTEMPTS):
            row = await find_document(app_state, caller, document_id)
            if row["content_key"] is None:
                break
            try:
                return await _answer(app_state, row, request.headers)
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


async def _answer(app_state: AppState, row: asyncpg.Record, asked: Headers) -> Response[Any]:
    etag, size = f'"{row["content_md5"]}"', row["content_size"]
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    typed = {"Content-Type": row["content_type"]}
    if etag in asked.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers | typed)
    part = requested_range(asked.get("range"), size) if asked.get("if-range", etag) == etag else None
    start, end = part or (0, size)
    if start >= end:
        headers["Content-Range"] = f"bytes */{size}"
        message = {"message": "The range lies outside the file"}
        return Response(message, status_code=416, headers=headers, media_type=MediaType.JSON)
    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    content = await _opened(app_state.objects.stream(row["content_key"], start, end))
    status = 200 if part is None else 206
    return Stream(content, status_code=status, headers=headers | typed)


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
