"""Content of documents: bytes are checked and stored completely before a row names them."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from db.documents import DocumentRow
from db.pool import CONNECTION_ERRORS
from pagemill.content_types import SNIFFED_BYTES, SUPPORTED, sniff
from pagemill.errors import BadRequest
from pagemill.ids import DocumentId, OrganizationId
from pagemill.objects import ObjectStore
from pagemill.objects.discarding import discard
from pagemill.objects.keys import new_content_key

MEBIBYTE = 1024 * 1024
MAXIMUM_FILE_BYTES = 64 * MEBIBYTE
MAXIMUM_INLINE_CHARACTERS = 6_250_000
MAXIMUM_INLINE_BYTES = MAXIMUM_INLINE_CHARACTERS // 4 * 3
READ_ATTEMPTS = 3
"""Attempts to read a document whose content is replaced before it is opened."""


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A complete object with the bytes of a document."""

    key: str
    content_type: str
    md5: str
    size: int


def content_of(row: DocumentRow) -> StoredContent | None:
    """Return the content of a document, None until it is uploaded."""
    if row.content_key is None:
        return None
    assert row.content_type is not None
    assert row.content_md5 is not None
    assert row.content_size is not None
    return StoredContent(row.content_key, row.content_type, row.content_md5, row.content_size)


def too_large(member: str) -> BadRequest:
    """Return the error for a file with too many bytes."""
    return BadRequest(f"{member}: must not be larger than 64 MB")


class _CheckedBytes:
    """Bytes on their way to storage: counted, hashed, and refused as soon as they are known to be wrong."""

    def __init__(self, source: AsyncIterable[bytes], member: str, announced: int | None) -> None:
        self._source, self._member, self._announced = source, member, announced
        # The API's contentMD5 tells copies apart; nothing is secured by it.
        self._hash = hashlib.md5(usedforsecurity=False)
        self.size = 0
        self.content_type = ""

    @property
    def md5(self) -> str:
        return self._hash.hexdigest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        beginning = b""
        async for piece in self._source:
            self.size += len(piece)
            if self.size > MAXIMUM_FILE_BYTES:
                raise too_large(self._member)
            self._hash.update(piece)
            if self.content_type:
                yield piece
                continue
            beginning += piece
            if len(beginning) >= SNIFFED_BYTES:
                self._recognise(beginning)
                yield beginning
        self._check_end()
        if not self.content_type:
            self._recognise(beginning)
            yield beginning

    def _check_end(self) -> None:
        if self._announced is not None and self.size != self._announced:
            raise BadRequest(f"{self._member}: ended after {self.size} of {self._announced} bytes")
        if not self.size:
            raise BadRequest(f"{self._member}: must not be empty")

    def _recognise(self, beginning: bytes) -> None:
        content_type = sniff(beginning)
        if content_type is None:
            raise BadRequest(f"{self._member}: is not a {SUPPORTED}")
        self.content_type = content_type


async def store_content(
    objects: ObjectStore,
    organization_id: OrganizationId,
    document_id: DocumentId,
    source: AsyncIterable[bytes],
    *,
    member: str = "content",
    announced: int | None = None,
) -> StoredContent:
    """Store the bytes of a document under a new key. Raises BadRequest naming ``member``.

    ``announced`` is the number of bytes that the client promised. An error leaves nothing in storage.
    """
    if announced is not None and announced > MAXIMUM_FILE_BYTES:
        raise too_large(member)
    key = new_content_key(organization_id, document_id)
    checked = _CheckedBytes(source, member, announced)
    await objects.put(key, checked)
    return StoredContent(key, checked.content_type, checked.md5, checked.size)


@contextlib.asynccontextmanager
async def delete_on_failure(objects: ObjectStore, key: str | None) -> AsyncIterator[None]:
    """Delete the object ``key`` if the enclosed transaction fails, which makes a row name it."""
    try:
        yield
    except CONNECTION_ERRORS:
        # Perhaps it was committed: an object without a row does less harm than a row without its object.
        raise
    except Exception:
        if key is not None:
            await discard(objects, keys=[key])
        raise


def decode_inline_document(content: str) -> bytes:
    """Return the bytes of a document's base64 ``content``. Raises BadRequest."""
    if len(content) > MAXIMUM_INLINE_CHARACTERS:
        raise BadRequest(
            f"content: must not have more than {MAXIMUM_INLINE_CHARACTERS} characters; "
            "send larger files to fileUrl"
        )
    return decode_inline(content)


def decode_inline(content: str) -> bytes:
    """Return the bytes of a base64 ``content``. Raises BadRequest."""
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("content: is not base64") from None


async def inline_source(content: bytes) -> AsyncIterator[bytes]:
    """Yield inline bytes as ``store_content`` takes them."""
    yield content
