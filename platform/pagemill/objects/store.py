"""Interface of object storage, and its keys."""

from __future__ import annotations

import datetime
import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import NamedTuple, Protocol

from pagemill.errors import NotFound, PagemillError

Content = bytes | AsyncIterable[bytes]

_KEY = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
MAXIMUM_KEY_LENGTH = 512
CHUNK_BYTES = 1024 * 1024


class ObjectMissing(NotFound):
    """A key without an object."""

    def __init__(self, key: str) -> None:
        super().__init__("The file does not exist", detail=key)

    def __reduce__(self) -> tuple[type[PagemillError], tuple[str], dict[str, str | None]]:
        return (type(self), (self.detail or "",), {})


class InvalidKey(PagemillError):
    """A key that Pagemill never makes, which could name something outside the storage."""


class StoredObject(NamedTuple):
    """A key and the time of its last change."""

    key: str
    modified_time: datetime.datetime


class ObjectStore(Protocol):
    """Storage of objects by key. All methods raise errors.Unavailable while the storage is away."""

    async def put(self, key: str, content: Content, *, durable: bool = True) -> int:
        """Write an object and return its size in bytes.

        It becomes visible as a whole. When ``content`` raises, nothing is left and the error goes on. One
        that is not ``durable`` may be lost, or damaged, when the machine of the storage crashes soon after.
        """
        ...

    async def get(self, key: str) -> bytes:
        """Return the whole object. Raises ObjectMissing."""
        ...

    def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to, not including, ``end``. Raises ObjectMissing."""
        ...

    async def size(self, key: str) -> int:
        """Return the size in bytes. Raises ObjectMissing."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Delete everything below a prefix that ends in "/"; return how many objects there were."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield the objects below a prefix that ends in "/", in the order of their keys.

        They are never all in memory. Objects that are written or deleted meanwhile may or may not appear.
        """
        ...

    def list(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys below a prefix that ends in "/", in their order."""
        ...

    async def remove_unfinished(self) -> int:
        """Delete what killed writers have left on this machine's disk; return how many there were."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


def check_key(key: str) -> str:
    """Return the key. Raises InvalidKey if it could lead outside the storage."""
    parts = key.split("/")
    if len(key) > MAXIMUM_KEY_LENGTH or not _KEY.fullmatch(key) or "." in parts or ".." in parts:
        raise InvalidKey("not an object key", detail=key[:MAXIMUM_KEY_LENGTH])
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix. Raises InvalidKey unless it is a key and a slash."""
    if not prefix.endswith("/"):
        raise InvalidKey("a prefix ends in a slash", detail=prefix[:MAXIMUM_KEY_LENGTH])
    check_key(prefix[:-1])
    return prefix


async def chunks(content: Content) -> AsyncIterator[bytes]:
    """Yield the content piece by piece."""
    if isinstance(content, bytes):
        yield content
        return
    async for piece in content:
        yield piece
