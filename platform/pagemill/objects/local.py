"""Objects as files below a directory."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from pagemill.errors import Unavailable
from pagemill.objects.store import (
    CHUNK_BYTES,
    Content,
    ObjectMissing,
    StoredObject,
    check_key,
    check_prefix,
    chunks,
)

# Keys have no part that begins with a dot, so what is being written is never taken for an object.
TEMPORARY = ".writing"
SCANNED_AT_ONCE = 1000


class LocalObjectStore:
    """A directory. An object is written to a temporary file, flushed to disk, and then renamed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, key: str, content: Content) -> int:
        target = self._path(key)
        temporary = self._directory / TEMPORARY / uuid.uuid4().hex
        size = 0
        with _write_errors():
            temporary.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                async for piece in chunks(content):
                    size += len(piece)
                    with _write_errors():
                        await asyncio.to_thread(file.write, piece)
                with _write_errors():
                    await asyncio.to_thread(os.fsync, file.fileno())
            with _write_errors():
                await asyncio.to_thread(_publish, temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return size

    async def get(self, key: str) -> bytes:
        with _storage_errors(key):
            return await asyncio.to_thread(self._path(key).read_bytes)

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        with _storage_errors(key):
            file = await asyncio.to_thread(self._path(key).open, "rb")
        with file:
            file.seek(start)
            left = end - start if end is not None else None
            while left is None or left > 0:
                with _storage_errors(key):
                    piece = await asyncio.to_thread(
                        file.read, CHUNK_BYTES if left is None else min(CHUNK_BYTES, left)
                    )
                if not piece:
                    return
                left = left - len(piece) if left is not None else None
                yield piece

    async def size(self, key: str) -> int:
        with _storage_errors(key):
            return (await asyncio.to_thread(self._path(key).stat)).st_size

    async def delete(self, key: str) -> None:
        with _storage_errors(key), contextlib.suppress(ObjectMissing, FileNotFoundError):
            await asyncio.to_thread(self._path(key).unlink)

    async def delete_prefix(self, prefix: str) -> int:
        directory = self._directory / check_prefix(prefix)
        with _storage_errors(prefix):
            return await asyncio.to_thread(_remove_tree, directory)

    async def scan(self, prefix: str) -> AsyncIterator[StoredObject]:
        found = _walk(self._directory / check_prefix(prefix), prefix)
        while True:
            with _storage_errors(prefix):
                some = await asyncio.to_thread(lambda: list(itertools.islice(found, SCANNED_AT_ONCE)))
            for one in some:
                yield one
            if len(some) < SCANNED_AT_ONCE:
                return

    async def list(self, prefix: str) -> AsyncIterator[str]:
        async for found in self.scan(prefix):
            yield found.key

    async def close(self) -> None:
        return

    def _path(self, key: str) -> Path:
        return self._directory / check_key(key)


@contextlib.contextmanager
def _storage_errors(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ObjectMissing(key) from None
    except OSError as error:
        raise Unavailable("The object storage is not available", detail=str(error)) from error


@contextlib.contextmanager
def _write_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("The object storage is not available", detail=str(error)) from error


def _publish(temporary: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(temporary, target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk(directory: Path, prefix: str) -> Iterator[StoredObject]:
    """The files below a directory in the order of their keys; one directory's names in memory at a time."""
    # A directory sorts as its keys do: by its name and the slash that follows.
    names: list[str] = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        names = sorted(
            f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries
        )
    for name in names:
        if name.endswith("/"):
            yield from _walk(directory / name, prefix + name)
            continue
        with contextlib.suppress(FileNotFoundError):
            modified = (directory / name).stat(follow_symlinks=False).st_mtime
            yield StoredObject(prefix + name, datetime.datetime.fromtimestamp(modified, datetime.UTC))


def _remove_tree(directory: Path) -> int:
    if not directory.is_dir():
        return 0
    count = sum(1 for path in directory.rglob("*") if path.is_file())
    shutil.rmtree(directory, ignore_errors=True)
    return count
