"""Directories in which functions work, below one that goes with its process."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import threading

from pagemill.working_directories import WorkingDirectory, sweep_working_directories


class WorkingDirectories:
    """Working directories of the calls of one process. Thread-safe; its methods block."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._base: WorkingDirectory | None = None
        self._numbers = itertools.count()

    @property
    def is_open(self) -> bool:
        """Return whether one has been made, so that the next one is made in microseconds."""
        return self._base is not None

    def make(self) -> str:
        """Return a new, empty directory. Raises OSError."""
        with self._making:
            if self._base is None:
                sweep_working_directories()
                self._base = WorkingDirectory()
            directory = f"{self._base.path}/{next(self._numbers)}"
            os.mkdir(directory, mode=0o700)
            return directory

    def remove_empty(self, directory: str) -> bool:
        """Remove a directory in which nothing was left; return whether it is gone."""
        with contextlib.suppress(OSError):
            os.rmdir(directory)
            return True
        return False

    def remove(self, directory: str) -> None:
        """Remove a directory with all that a function has left in it."""
        shutil.rmtree(directory, ignore_errors=True)

    def close(self) -> None:
        """Remove all of them."""
        with self._making:
            if self._base is not None:
                self._base.remove()
            self._base = None
