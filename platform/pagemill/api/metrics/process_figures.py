"""Figures of all processes of one server, which each of them can read.

Each process counts in an array that is mapped from a file; a count costs no call of the system, and is not
lost with the process. It holds the lock of its file while it lives. One that starts goes on in the file of
one that has died: counters never go back, and there are never more files than there were processes at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from pagemill.api.metrics.figure_places import GAUGES, FigurePlaces

BYTES = 8
MOST_PROCESSES = 1024


def empty_figures(places: FigurePlaces) -> memoryview[float]:
    """Return figures that no other process sees."""
    return memoryview(bytearray(BYTES * places.size)).cast("d")


class ProcessFigures:
    """Files of the processes of one server in a directory; ``server`` tells it from others with the same."""

    def __init__(self, directory: Path, server: str, places: FigurePlaces) -> None:
        self._directory, self._size = directory, places.size
        self._of_server, self._prefix = f"{server}-", f"{server}-{places.digest}-"

    @contextlib.contextmanager
    def open(self) -> Iterator[memoryview[float]]:
        """Yield the figures of this process. Raises OSError when there is no room for them."""
        self._remove_other_releases()
        descriptor = self._take_file()
        try:
            self._fill(descriptor)
            with (
                mmap.mmap(descriptor, BYTES * self._size) as mapping,
                memoryview(mapping) as view,
                view.cast("d") as figures,
            ):
                for gauge in GAUGES:
                    figures[gauge] = 0.0
                yield figures
        finally:
            os.close(descriptor)

    def total(self) -> list[float]:
        """Return the sums over all processes: gauges of those that live, everything else of the dead too."""
        sums = [0.0] * self._size
        for path in self._directory.glob(f"{self._prefix}*"):
            with contextlib.suppress(FileNotFoundError):
                figures, lives = self._read(path)
                for place, figure in enumerate(figures):
                    if lives or place not in GAUGES:
                        sums[place] += figure
        return sums

    def _take_file(self) -> int:
        """Return the descriptor of the first file that no living process has, locked."""
        for number in range(MOST_PROCESSES):
            descriptor = _open(self._directory / f"{self._prefix}{number}", os.O_RDWR | os.O_CREAT)
            if _lock(descriptor):
                return descriptor
            os.close(descriptor)
        raise OSError(f"more than {MOST_PROCESSES} processes count in {self._directory}")

    def _fill(self, descriptor: int) -> None:
        """Write zeros where nothing is yet: without room on the disk, a mapping would kill the process."""
        size = os.fstat(descriptor).st_size
        os.pwrite(descriptor, bytes(max(0, BYTES * self._size - size)), size)

    def _read(self, path: Path) -> tuple[list[float], bool]:
        """Return the figures of a process, and whether it lives; nothing of one that is just beginning."""
        descriptor = _open(path, os.O_RDONLY)
        try:
            lives = not _lock(descriptor)
            if os.fstat(descriptor).st_size < BYTES * self._size:
                return [], lives
            with (
                mmap.mmap(descriptor, BYTES * self._size, access=mmap.ACCESS_READ) as mapping,
                memoryview(mapping) as view,
                view.cast("d") as figures,
            ):
                return list(figures), lives
        finally:
            os.close(descriptor)

    def _remove_other_releases(self) -> None:
        """Remove the files of dead processes that counted something else."""
        for path in self._directory.glob(f"{self._of_server}*"):
            if path.name.startswith(self._prefix):
                continue
            with contextlib.suppress(FileNotFoundError):
                descriptor = _open(path, os.O_RDONLY)
                if _lock(descriptor):
                    path.unlink(missing_ok=True)
                os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _lock(descriptor: int) -> bool:
    """Return whether no living process has the file; it is locked until the descriptor is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
