"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, again and again until all have ended; what they raise is nobody's any more.

    Once is not enough: a connection that breaks while its transaction is rolled back hides that the task was
    cancelled, and what waits out that Postgres is away would go on for ever.
    """
    remaining = set(tasks)
    while remaining:
        for task in remaining:
            task.cancel()
        ended, remaining = await asyncio.wait(remaining, timeout=AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                task.exception()
