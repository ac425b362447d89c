"""The thread on which the models of a replica run."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pagemill.memory import return_free_memory

RETURN_SECONDS = 10.0
"""Interval in which memory is given back: it takes milliseconds, in which no model runs."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class ModelThread:
    """Thread that runs the batches of all models of a replica, one after the other.

    There is one device, and the allocator keeps memory apart for each thread: with several threads, each
    would keep as much as the largest batch takes.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._used = False

    async def run(self, work: Callable[[Argument], Result], argument: Argument) -> Result:
        """Return the result of the work, which begins when what was asked for before has ended."""
        self._used = True
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        return await loop.run_in_executor(self._executor, context.run, work, argument)

    async def keep_small(self) -> None:
        """Give back what batches have left free, until cancelled."""
        while True:
            await asyncio.sleep(RETURN_SECONDS)
            if self._used:
                self._used = False
                await asyncio.get_running_loop().run_in_executor(self._executor, return_free_memory)

    def end(self) -> None:
        """End the thread after what it runs."""
        self._executor.shutdown(wait=False, cancel_futures=True)
