"""Backups: a dump of the database first, the objects second, and the keys in a place of their own.

In this order a restored row misses its object only if it was deleted while the backup was made: an object is
written before the row that names it, under a key of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import filecmp
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from db.administration import has_tables
from pagemill.concurrency import gather_or_cancel
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.objects.local import LocalObjectStore
from pagemill.release import release
from pagemill.stack.directory import DataDirectory, StackError, write_private
from pagemill.stack.reachable import binaries

FORMAT = 1
CONTENTS = "contents.json"
DUMP = "database.dump"
OBJECTS = "objects"
ALL_OBJECTS = "organizations/"
"""Every key begins with it."""
AT_ONCE = 16
"""Objects that are copied at a time."""
KEY_FILES = ("secret-keys", "token-key", "credentials.json")
CERTIFICATES = "tls"


class BackupContents(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Description of a backup, written last: a directory without it holds none."""

    format: int = FORMAT
    release: str
    """Release of the installation that made it."""
    created_time: datetime.datetime
    dump_bytes: int
    with_objects: bool
    objects: int = 0
    object_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Copied:
    """Numbers of objects that were copied."""

    objects: int = 0
    size: int = 0


async def back_up(database_url: str, objects: ObjectStore | None, target: Path) -> BackupContents:
    """Write a backup into an empty directory, while everything runs; None leaves the objects out.

    Raises StackError, Unavailable.
    """
    _make_empty(target)
    await asyncio.to_thread(_dump, database_url, target / DUMP)
    copied = Copied() if objects is None else await _copy(objects, LocalObjectStore(target / OBJECTS))
    contents = BackupContents(
        release=release(),
        created_time=datetime.datetime.now(datetime.UTC),
        dump_bytes=(target / DUMP).stat().st_size,
        with_objects=objects is not None,
        objects=copied.objects,
        object_bytes=copied.size,
    )
    write_private(target / CONTENTS, msgspec.json.format(msgspec.json.encode(contents)) + b"\n")
    return contents


async def restore(source: Path, database_url: str, objects: ObjectStore) -> BackupContents:
    """Put a backup into an empty database and an object storage.

    Objects come first, and the database comes in one transaction: what was broken off can be repeated.
    Raises StackError when the directory holds no whole backup or the database is not empty, Unavailable.
    """
    contents = read_contents(source)
    if await has_tables(database_url):
        raise StackError("the database is not empty: a backup is restored into an empty one")
    if contents.with_objects:
        copied = await _copy(LocalObjectStore(source / OBJECTS), objects)
        if copied.objects != contents.objects:
            raise StackError(f"{source} is damaged: {copied.objects} of {contents.objects} objects are there")
    await asyncio.to_thread(_restore_dump, database_url, source / DUMP)
    return contents


def read_contents(source: Path) -> BackupContents:
    """Return the description of a backup. Raises StackError when there is no whole one."""
    try:
        contents = msgspec.json.decode((source / CONTENTS).read_bytes(), type=BackupContents)
        size = (source / DUMP).stat().st_size
    except (OSError, msgspec.MsgspecError) as error:
        raise StackError(f"{source} holds no backup that was ended: {error}") from error
    if contents.format != FORMAT:
        raise StackError(f"{source} was written by another release ({contents.release})")
    if size != contents.dump_bytes:
        raise StackError(f"{source / DUMP} is damaged: it has {size} of {contents.dump_bytes} bytes")
    return contents


def keep_keys(directory: DataDirectory, target: Path) -> list[str]:
    """Copy the keys of a data directory into an empty directory; return the names of those that it has."""
    _make_empty(target)
    return _copy_keys(directory.path, target)


def restore_keys(source: Path, directory: DataDirectory) -> list[str]:
    """Copy keys into a data directory that has no others; return their names. Raises StackError."""
    others = [name for name in KEY_FILES if _differ(source / name, directory.path / name)]
    if others:
        raise StackError(f"{directory.path} has other keys already: {', '.join(others)}")
    found = _copy_keys(source, directory.path)
    if not found:
        raise StackError(f"{source} holds no keys")
    return found


def _differ(source: Path, target: Path) -> bool:
    return target.exists() and not (source.exists() and filecmp.cmp(source, target, shallow=False))


def _copy_keys(source: Path, target: Path) -> list[str]:
    found = [name for name in KEY_FILES if (source / name).is_file()]
    for name in found:
        write_private(target / name, (source / name).read_bytes())
    if (source / CERTIFICATES).is_dir():
        shutil.copytree(source / CERTIFICATES, target / CERTIFICATES, dirs_exist_ok=True)
        found.append(CERTIFICATES)
    return found


def _make_empty(target: Path) -> None:
    """Make a private directory. Raises StackError where something lies in it."""
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_empty = not any(target.iterdir())
    except OSError as error:
        raise StackError(f"{target} cannot be used: {error.strerror}") from error
    if not is_empty:
        raise StackError(f"{target} is not empty")


def _dump(database_url: str, file: Path) -> None:
    file.touch(mode=0o600)
    _run_program(
        "pg_dump", database_url, "--format=custom", f"--file={file}", "--no-owner", "--no-privileges"
    )


def _restore_dump(database_url: str, file: Path) -> None:
    _run_program(
        "pg_restore", database_url, "--single-transaction", "--no-owner", "--no-privileges", str(file)
    )


def _run_program(name: str, database_url: str, *arguments: str) -> None:
    """Run one of Postgres's programs on a database. Raises StackError with the end of what it says."""
    url, password = without_password(database_url)
    # Everybody can read a command line.
    environment = os.environ | {"PGPASSWORD": password} if password else dict(os.environ)
    done = subprocess.run(
        [str(binaries() / name), f"--dbname={url}", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"{name} failed: {done.stderr.strip()[-1000:]}")


def without_password(database_url: str) -> tuple[str, str | None]:
    """Return a URL without its password, and the password."""
    url = urlsplit(database_url)
    if url.password is None:
        return database_url, None
    user, _, place = url.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{place}"
    return urlunsplit(url._replace(netloc=netloc)), unquote(url.password)


async def _copy(source: ObjectStore, target: ObjectStore) -> Copied:
    """Copy all objects, some at a time; those that are deleted meanwhile are left out."""
    objects = size = 0
    async with contextlib.aclosing(_groups(source)) as groups:
        async for keys in groups:
            sizes = await gather_or_cancel(_copy_one(source, target, key) for key in keys)
            objects += sum(one is not None for one in sizes)
            size += sum(one or 0 for one in sizes)
    return Copied(objects, size)


async def _groups(source: ObjectStore) -> AsyncGenerator[Sequence[str], None]:
    keys: list[str] = []
    async for key in source.list(ALL_OBJECTS):
        keys.append(key)
        if len(keys) == AT_ONCE:
            yield keys
            keys = []
    if keys:
        yield keys


async def _copy_one(source: ObjectStore, target: ObjectStore, key: str) -> int | None:
    """Return the size of the copy, None when the object has gone."""
    try:
        return await target.put(key, source.stream(key))
    except ObjectMissing:
        return None
