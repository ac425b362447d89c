"""Taking in the bytes of documents: bounded, sniffed, and visible only when they are complete."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from pagemill.content_types import SNIFFED_BYTES, SUPPORTED, sniff
from pagemill.errors import BadRequest
from pagemill.objects import ObjectStore
from pagemill.objects.keys import new_content_key

MEBIBYTE = 1024 * 1024
MAXIMUM_FILE_BYTES = 64 * MEBIBYTE
MAXIMUM_INLINE_CHARACTERS = 6_250_000
MAXIMUM_INLINE_BYTES = MAXIMUM_INLINE_CHARACTERS // 4 * 3


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A complete object that no document names yet."""

    key: str
    content_type: str
    md5: str
    size: int


class _Inspected:
    """Bytes on their way to storage: counted, hashed, and refused as soon as they are known to be wrong."""

    def __init__(self, source: AsyncIterable[bytes], member: str) -> None:
        self._source, self._member = source, member
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
                raise BadRequest(f"{self._member}: must not be larger than 64 MB")
            self._hash.update(piece)
            if self.content_type:
                yield piece
                continue
            beginning += piece
            if len(beginning) >= SNIFFED_BYTES:
                self._recognise(beginning)
                yield beginning
        if not self.size:
            raise BadRequest(f"{self._member}: must not be empty")
        if not self.content_type:
            self._recognise(beginning)
            yield beginning

    def _recognise(self, beginning: bytes) -> None:
        content_type = sniff(beginning)
        if content_type is None:
            raise BadRequest(f"{self._member}: is not a {SUPPORTED}")
        self.content_type = content_type


async def store_content(
    objects: ObjectStore,
    organization_id: str,
    document_id: str,
    source: AsyncIterable[bytes],
    *,
    member: str = "content",
) -> StoredContent:
    """Write a document's bytes under a key of their own. Raises BadRequest naming ``member``.

    When it raises, nothing is left in storage.
    """
    key = new_content_key(organization_id, document_id)
    inspected = _Inspected(source, member)
    await objects.put(key, inspected)
    return StoredContent(key, inspected.content_type, inspected.md5, inspected.size)


def decode_inline(content: str) -> bytes:
    """The bytes of a base64 ``content``. Raises BadRequest."""
    if len(content) > MAXIMUM_INLINE_CHARACTERS:
        raise BadRequest(
            f"content: must not have more than {MAXIMUM_INLINE_CHARACTERS} characters; "
            "send larger files to fileUrl"
        )
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("content: is not base64") from None


async def inline_source(content: bytes) -> AsyncIterator[bytes]:
    """Inline bytes as a source."""
    yield content
