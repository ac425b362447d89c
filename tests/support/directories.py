"""Temporary directories for databases and whole stacks, in memory where there is room."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 2 * 1024**3


@contextmanager
def temporary_directory(prefix: str) -> Iterator[Path]:
    """A directory that everybody may enter, removed at the end.

    It is not below pytest's own directory, which another session closes to all but its owner: run as root,
    Postgres runs as somebody else.
    """
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=_memory()))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _memory() -> Path | None:
    """Return a directory in memory, if this machine has one with room.

    A new database is some 300 files: on a disk, making and removing them takes ten times as long.
    """
    try:
        room = os.statvfs(MEMORY)
    except OSError:
        return None
    is_usable = os.access(MEMORY, os.W_OK | os.X_OK) and room.f_bavail * room.f_frsize >= MEMORY_NEEDED
    return MEMORY if is_usable else None
