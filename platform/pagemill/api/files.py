"""The file server: raw bytes of documents, ``/files/{documentId}``."""

from __future__ import annotations

import logging
import re
from typing import Any

import asyncpg
from litestar import Controller, Request, Response, get, put
from litestar.response import Stream

from db.documents import GET_DOCUMENT, LOCK_DOCUMENT, SWITCH_CONTENT
from pagemill.api.contents import MAXIMUM_FILE_BYTES, StoredContent, store_content
from pagemill.api.documents import document_not_found
from pagemill.api.schemas import ResponseStruct
from pagemill.api.security import Caller
from pagemill.api.state import AppState
from pagemill.errors import BadRequest, NotFound, PagemillError

logger = logging.getLogger("pagemill.api.files")

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class StoredFile(ResponseStruct):
    """What an upload was recognised as."""

    document_id: str
    content_type: str
    content_md5: str


class FileController(Controller):
    path = "/files"
    tags = ("Files",)

    @put("/{document_id:str}", status_code=200, request_max_body_size=None)
    async def put_file(
        self, document_id: str, request: Request[Any, Any, Any], caller: Caller, app_state: AppState
    ) -> StoredFile:
        """Replace a document's content by the raw bytes of the body, whatever type the client claims."""
        await _find(app_state, caller, document_id)
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > MAXIMUM_FILE_BYTES:
            raise BadRequest("file: must not be larger than 64 MB")
        stored = await store_content(
            app_state.objects, caller.organization_id, document_id, request.stream(), member="file"
        )
        replaced = await _switch(app_state, caller, document_id, stored)
        if replaced is not None:
            await _forget(app_state, replaced)
        return StoredFile(
            document_id=document_id, content_type=stored.content_type, content_md5=stored.md5
        )

    @get("/{document_id:str}", media_type="application/octet-stream")
    async def get_file(
        self, document_id: str, request: Request[Any, Any, Any], caller: Caller, app_state: AppState
    ) -> Response[Any]:
        """The bytes as they were uploaded, or the range of them that is asked for."""
        row = await _find(app_state, caller, document_id)
        if row["content_key"] is None:
            raise NotFound(f"Document {document_id} has no content yet")
        etag = f'"{row["content_md5"]}"'
        headers = {
            "ETag": etag,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        if etag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers, media_type=row["content_type"])
        return _stream(app_state, row, request.headers.get("range"), headers)


def _stream(
    app_state: AppState, row: asyncpg.Record, asked: str | None, headers: dict[str, str]
) -> Response[Any]:
    size = row["content_size"]
    part = requested_range(asked, size)
    if part is None:
        headers["Content-Length"] = str(size)
        content = app_state.objects.stream(row["content_key"])
        return Stream(content, media_type=row["content_type"], headers=headers)
    start, end = part
    if start >= end:
        headers["Content-Range"] = f"bytes */{size}"
        return Response({"message": "The range lies outside the file"}, status_code=416, headers=headers)
    headers |= {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/{size}"}
    content = app_state.objects.stream(row["content_key"], start, end)
    return Stream(content, status_code=206, media_type=row["content_type"], headers=headers)


def requested_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """(start, end) of a single byte range, end exclusive; None for the whole; empty when it lies outside."""
    match = _RANGE.fullmatch(asked.strip()) if asked else None
    if match is None or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


async def _find(app_state: AppState, caller: Caller, document_id: str) -> asyncpg.Record:
    """The document's row. The connection is given back: an upload can take minutes."""
    async with app_state.pool.acquire() as connection:
        row = await GET_DOCUMENT.fetch_one(connection, caller.organization_id, document_id)
    if row is None:
        raise document_not_found(document_id)
    return row


async def _switch(
    app_state: AppState, caller: Caller, document_id: str, stored: StoredContent
) -> str | None:
    """Make the new content the document's; the key of the old one. The new one goes when that fails."""
    try:
        async with app_state.pool.acquire() as connection, connection.transaction():
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
    except BaseException:
        await _forget(app_state, stored.key)
        raise
    replaced: str | None = before["content_key"]
    return replaced


async def _forget(app_state: AppState, key: str) -> None:
    """Best effort: no document names this object any more."""
    try:
        await app_state.objects.delete(key)
    except PagemillError as error:
        logger.warning("%s was not deleted: %s", key, error.detail)
