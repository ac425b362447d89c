"""Watch over one process: how late its event loop is, and what its pool of connections holds."""

from __future__ import annotations

import asyncio

from db.pool import Pool
from pagemill.api.metrics.figure_places import IDLE_CONNECTIONS, USED_CONNECTIONS, FigurePlaces
from pagemill.api.metrics.request_metrics import RequestMetrics

LOOK_SECONDS = 0.5


async def watch_process(requests: RequestMetrics, places: FigurePlaces, pool: Pool) -> None:
    """Look every half second, until cancelled. A late look shows for how long something held up the loop."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        requests.count()
        figures, idle = requests.figures, float(pool.get_idle_size())
        places.lag.observe(figures, max(0.0, loop.time() - due))
        figures[IDLE_CONNECTIONS], figures[USED_CONNECTIONS] = idle, pool.get_size() - idle
