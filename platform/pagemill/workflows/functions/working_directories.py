"""Directories in which functions work: removed after each call, or by the successor of a killed process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import IO, Final

PREFIX: Final = "pagemill-functions-"
LOCK: Final = "lock"


class WorkingDirectories:
    """Working directories of the calls of one process. Thread-safe; its methods block."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._base: Path | None = None
        self._lock: IO[str] | None = None

    def make(self) -> str:
        """Return a new, empty directory. Raises OSError."""
        with self._making:
            if self._base is None:
                remove_abandoned()
                self._base, self._lock = _locked_directory()
            return tempfile.mkdtemp(dir=self._base)

    def remove(self, directory: str) -> None:
        """Remove a directory with all that a function has left in it."""
        shutil.rmtree(directory, ignore_errors=True)

    def close(self) -> None:
        """Remove all of them."""
        with self._making:
            if self._base is not None and self._lock is not None:
                shutil.rmtree(self._base, ignore_errors=True)
                self._lock.close()
            self._base = self._lock = None


def remove_abandoned() -> None:
    """Remove the directories of processes that were killed: nobody holds their lock any more."""
    for base in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if base.lstat().st_uid == os.geteuid():
                with (base / LOCK).open() as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(base, ignore_errors=True)


def _locked_directory() -> tuple[Path, IO[str]]:
    """Return a new directory and its lock, which ends with this process at the latest."""
    while True:
        base = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = (base / LOCK).open("w")
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (base / LOCK).exists():
                return base, lock
        lock.close()  # somebody has taken it for abandoned just now
