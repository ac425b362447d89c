"""Temporary directories of work on documents: each goes with its work, or is swept if that was killed.

A process holds a lock on each of its directories, which the kernel gives back however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PREFIX: Final = "pagemill-work-"
LOCK: Final = "lock"
CONTENT: Final = "content"
LOCKING_SECONDS: Final = 60.0
"""Longest time between the making of something and its lock; what is younger is left alone."""

logger = logging.getLogger(__name__)


class WorkingDirectory:
    """An empty directory, ``path``, until it is removed or this process ends."""

    def __init__(self) -> None:
        self._outer = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self._outer / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = self._outer / CONTENT
        self.path.mkdir()

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self._outer, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


@contextlib.contextmanager
def working_directory() -> Iterator[Path]:
    """Make an empty directory for the duration of a block."""
    made = WorkingDirectory()
    try:
        yield made.path
    finally:
        made.remove()


def sweep_working_directories() -> int:
    """Remove the directories of this user that no living process holds; return how many there were."""
    removed = 0
    for outer in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if _is_ours(outer) and is_left_over(outer / LOCK, made=outer):
                shutil.rmtree(outer)
                removed += 1
    if removed:
        logger.info("removed %d working directories of processes that were killed", removed)
    return removed


def is_left_over(file: Path, *, made: Path | None = None) -> bool:
    """Return whether no process holds the lock of a file, or has locked ``made`` in time.

    Raises OSError.
    """
    if time.time() - (made or file).lstat().st_mtime < LOCKING_SECONDS:
        return False
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_ours(outer: Path) -> bool:
    found = outer.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
