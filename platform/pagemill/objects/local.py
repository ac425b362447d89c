"""Object storage in a local directory."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import fcntl
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
from pagemill.working_directories import is_left_over

# Keys have no part that begins with a dot, so what is being written is never taken for an object.
TEMPORARY = ".writing"
SCAN_BATCH_SIZE = 1000


class LocalObjectStore:
    """Objects as files below a directory: written to a temporary file, flushed to disk, then renamed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, key: str, content: Content, *, durable: bool = True) -> int:
        """Write an object and return its size in bytes. Raises Unavailable, or the error of ``content``.

        One that is not ``durable`` is not flushed to disk.
        """
        target = self._path(key)
        temporary = self._directory / TEMPORARY / uuid.uuid4().hex
        if isinstance(content, bytes):
            with _write_errors():
                await asyncio.to_thread(_write, temporary, target, content, durable)
            return len(content)
        with _write_errors():
            descriptor = _create(temporary)
        size = 0
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                async for piece in chunks(content):
                    size += len(piece)
                    with _write_errors():
                        await asyncio.to_thread(file.write, piece)
                with _write_errors():
                    await asyncio.to_thread(_flush, file.fileno(), durable)
                    # Before the lock goes with the descriptor: nobody takes the file for a left-over.
                    await asyncio.to_thread(_publish, temporary, target, durable)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return size

    async def get(self, key: str) -> bytes:
        """Return the whole object. Raises ObjectMissing, Unavailable."""
        with _storage_errors(key):
            return await asyncio.to_thread(self._path(key).read_bytes)

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to, not including, ``end``. Raises ObjectMissing, Unavailable."""
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
        """Return the size in bytes. Raises ObjectMissing, Unavailable."""
        with _storage_errors(key):
            return (await asyncio.to_thread(self._path(key).stat)).st_size

    async def delete(self, key: str) -> None:
        """Delete an object, if there is one. Raises Unavailable."""
        with _storage_errors(key), contextlib.suppress(ObjectMissing, FileNotFoundError):
            await asyncio.to_thread(self._path(key).unlink)

    async def delete_prefix(self, prefix: str) -> int:
        """Delete everything below a prefix; return how many objects there were. Raises Unavailable."""
        directory = self._directory / check_prefix(prefix)
        with _storage_errors(prefix):
            return await asyncio.to_thread(_remove_tree, directory)

    async def scan(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield the objects below a prefix in the order of their keys. Raises Unavailable."""
        found = _walk(self._directory / check_prefix(prefix), prefix)
        while True:
            with _storage_errors(prefix):
                some = await asyncio.to_thread(lambda: list(itertools.islice(found, SCAN_BATCH_SIZE)))
            for one in some:
                yield one
            if len(some) < SCAN_BATCH_SIZE:
                return

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys below a prefix in their order. Raises Unavailable."""
        async for found in self.scan(prefix):
            yield found.key

    async def remove_unfinished(self) -> int:
        """Delete the files of writers that were killed; return how many. Raises Unavailable."""
        with _write_errors():
            return await asyncio.to_thread(_remove_unfinished, self._directory / TEMPORARY)

    async def close(self) -> None:
        """Do nothing: no file stays open."""
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


def _create(temporary: Path) -> int:
    """Return the descriptor of a new file, which is locked as long as it is open."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(temporary, flags, 0o600)
    except FileNotFoundError:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, flags, 0o600)
    # In a file system without locks nothing is swept.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _remove_unfinished(directory: Path) -> int:
    removed = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            file = Path(entry.path)
            # It may be published, or removed, meanwhile.
            with contextlib.suppress(OSError):
                if is_left_over(file):
                    file.unlink()
                    removed += 1
    return removed


def _write(temporary: Path, target: Path, content: bytes, durable: bool) -> None:
    """Write a whole object: in one go, it takes one thread once."""
    descriptor = _create(temporary)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
            _flush(file.fileno(), durable)
            _publish(temporary, target, durable)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _publish(temporary: Path, target: Path, durable: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(temporary, target)
    if durable:
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush(descriptor: int, durable: bool) -> None:
    if durable:
        os.fsync(descriptor)


def _walk(directory: Path, prefix: str) -> Iterator[StoredObject]:
    """Yield the files below a directory in the order of their keys, with one directory's names in memory."""
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
