"""Memory that a child shares with its parent for the pixels of a page.

The parent makes it and gives it its size: a child may write no files. It copies what it uses, since the
child could change it at any time, and reads it as a file: memory cut short by the child is then a short
read instead of a fatal signal.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.reading.read_messages import CHANNELS, WHOLE_PAGE, Box, Picture

Pixels = NDArray[np.uint8]
"""An RGB image: (height, width, 3)."""


@contextlib.contextmanager
def shared_memory(size: int) -> Iterator[int]:
    """Return the descriptor of ``size`` bytes that belong to nobody else."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pagemill-pixels")
    else:
        with tempfile.TemporaryFile() as unnamed:
            descriptor = os.dup(unnamed.fileno())
    try:
        os.ftruncate(descriptor, size)
        yield descriptor
    finally:
        os.close(descriptor)


def copy_pixels(descriptor: int, picture: Picture) -> Pixels:
    """Return the pixels of a picture. Raises ValueError if they are not there."""
    copied = os.pread(descriptor, picture.size, picture.offset)
    if len(copied) != picture.size:
        raise ValueError("the shared memory is too short")
    return np.frombuffer(copied, dtype=np.uint8).reshape(picture.height, picture.width, CHANNELS)


class SharedPixels:
    """The child's side: it writes the pictures of a page one behind the other."""

    def __init__(self, descriptor: int) -> None:
        self._memory = np.frombuffer(mmap.mmap(descriptor, 0), dtype=np.uint8)
        self._used = 0

    def clear(self) -> None:
        """Forget the pictures of the page before."""
        self._used = 0

    @property
    def pixels_left(self) -> int:
        """The number of pixels that fit beside those that have been written."""
        return (len(self._memory) - self._used) // CHANNELS

    def canvas(self, height: int, width: int) -> Pixels:
        """Return the memory of the next picture, to draw it there before it is written.

        Raises MemoryError if it does not fit.
        """
        if width * height > self.pixels_left:
            raise MemoryError
        end = self._used + width * height * CHANNELS
        return self._memory[self._used : end].reshape(height, width, CHANNELS)

    def write(self, pixels: Pixels, box: Box = WHOLE_PAGE) -> Picture:
        """Write the pixels of a part of the page. Raises MemoryError if they do not fit."""
        height, width = pixels.shape[:2]
        place = self.canvas(height, width)
        drawn_there = pixels.ctypes.data == place.ctypes.data and pixels.flags.c_contiguous
        if not drawn_there:
            place[...] = pixels
        picture = Picture(self._used, width, height, box)
        self._used += picture.size
        return picture
