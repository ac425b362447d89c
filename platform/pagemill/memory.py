"""Memory that this process does not use any more."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import sys

RETURN_SECONDS = 30.0
"""Interval in which a process gives memory back: it takes milliseconds, in which some of its threads wait."""


def return_free_memory() -> None:
    """Give the memory that is free in this process back to the system, as far as its allocator can.

    The GNU allocator keeps what large arrays have left, in pieces that the next ones often do not fit in, so
    that a process grows for hours. Other allocators are left alone.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


async def keep_returning_memory() -> None:
    """Give free memory back again and again, until cancelled."""
    while True:
        await asyncio.sleep(RETURN_SECONDS)
        await asyncio.to_thread(return_free_memory)
