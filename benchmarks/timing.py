"""Repeated timing of one call: back to back, and at the pace of a prediction's parts."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

CALLS = 200
WARM_UP = 50
RHYTHMS = {"backToBack": 0.0, "paused": 0.02}
"""Seconds before each call: other parts work about as long between two calls of a job, and whoever slept
meanwhile is slower."""


async def repeated(work: Callable[[], Awaitable[None]]) -> dict[str, float]:
    """Return the median of this many calls in each rhythm, in milliseconds."""
    for _ in range(WARM_UP):
        await work()
    found = {}
    for rhythm, pause in RHYTHMS.items():
        seconds = []
        for _ in range(CALLS):
            await asyncio.sleep(pause)
            started = time.perf_counter()
            await work()
            seconds.append(time.perf_counter() - started)
        found[rhythm] = median_milliseconds(seconds)
    return found


def median_milliseconds(seconds: Sequence[float]) -> float:
    """Return the median in milliseconds."""
    return round(1000 * statistics.median(seconds), 3)
