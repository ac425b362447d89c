"""Lanes of a reading replica: requests of one priority, whose parts wait for each other only."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from pagemill.background import stay_in_background
from pagemill.errors import DocumentUnreadable
from pagemill.extraction.types import Reading, ReadOptions


class Reader(Protocol):
    """Reader of a document's pages; its method blocks, and is called by several threads."""

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        """Return the words of some pages; ignore indexes out of range. Raises DocumentUnreadable."""
        ...


class ReadingLane:
    """Lane that reads ``at_once`` parts at a time, in the order of their requests, on threads of its own.

    ``in_background`` they give way to all other threads; so do the processes that its reader starts on them.
    """

    def __init__(self, reader: Reader, *, at_once: int, in_background: bool = False) -> None:
        self._reader = reader
        self._turns = asyncio.Semaphore(at_once)
        self._threads = ThreadPoolExecutor(
            at_once,
            thread_name_prefix="reading-in-background" if in_background else "reading",
            initializer=stay_in_background if in_background else None,
        )

    async def wait_for_turn(self) -> None:
        """Return when a part can be read, which has to follow."""
        await self._turns.acquire()

    async def read(self, content: bytes, indexes: Sequence[int], options: ReadOptions) -> Reading:
        """Return the words of pages, and end the turn. Raises DocumentUnreadable."""
        loop = asyncio.get_running_loop()
        # Threads are told which trace their part belongs to.
        run = contextvars.copy_context().run
        read = functools.partial(run, self._reader.read, content, indexes, options)
        try:
            return await loop.run_in_executor(self._threads, read)
        except DocumentUnreadable as error:
            # Subclasses of the reader stay inside: callers compare the class by name.
            raise DocumentUnreadable(error.message, detail=error.detail) from None
        finally:
            self._turns.release()
