"""Memory that this process does not use any more."""

from __future__ import annotations

import contextlib
import ctypes
import sys


def return_free_memory() -> None:
    """Give the memory that is free in this process back to the system, as far as its allocator can.

    The GNU allocator keeps what large arrays have left, in pieces that the next ones often do not fit in, so
    that a process grows for hours. Other allocators are left alone.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
