"""Asking Postgres for the backlog, in a thread of its own: whoever decides only looks at the last answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import asyncpg

from db.pool import connect
from db.statements import Connection
from db.waiting_pages import count_ended_pages
from pagemill.cluster.scaling.figures import Backlog
from pagemill.work.open_pages import count_open_pages

APPLICATION_NAME = "pagemill scaling"
ASK_SECONDS = 2.0
"""Interval of the questions."""
ANSWER_SECONDS = 8.0
"""Longest wait for an answer: two questions may fail before the last answer is too old."""
PACE_SECONDS = 60.0
"""Predictions that ended in this time are counted; the speed of replicas is measured on them."""
PACE_JOBS = 5000

logger = logging.getLogger("ray.serve")

Ask: TypeAlias = Callable[[], Awaitable[Backlog]]
Open: TypeAlias = Callable[[], contextlib.AbstractAsyncContextManager[Ask]]


class BacklogWatch:
    """The newest backlog; a daemon thread asks for it until ``close``.

    ``latest`` never blocks and never raises. A question that fails or hangs ends its connection: the next
    one takes another. Failures are logged once until there is an answer again.
    """

    def __init__(self, open_connection: Open, *, interval: float = ASK_SECONDS) -> None:
        self._open, self._interval = open_connection, interval
        self._latest: Backlog | None = None
        self._closing = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="backlog", daemon=True)
        self._thread.start()

    @property
    def latest(self) -> Backlog | None:
        """The newest backlog, however old; None before the first answer."""
        return self._latest

    def close(self) -> None:
        """Ask no more; return at once."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            # The thread is the boundary: an error here must not end it, and reaches nobody else.
            try:
                asyncio.run(self._ask_until_it_fails())
            except Exception as error:  # noqa: BLE001
                self._report(error)
            self._closing.wait(self._interval)

    async def _ask_until_it_fails(self) -> None:
        async with asyncio.timeout(ANSWER_SECONDS) as patience, self._open() as ask:
            while not self._closing.is_set():
                self._latest = await ask()
                if self._is_failing:
                    self._is_failing = False
                    logger.warning("scaling: the database gives figures again")
                patience.reschedule(asyncio.get_running_loop().time() + self._interval + ANSWER_SECONDS)
                await asyncio.sleep(self._interval)

    def _report(self, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            # The address of the database can be part of a message: only the class is written.
            logger.warning("scaling: the database gives no figures: %s", type(error).__name__)


@contextlib.asynccontextmanager
async def ask_postgres(database_url: str) -> AsyncIterator[Ask]:
    """Open a connection, and yield what asks for the backlog with it."""
    connection: asyncpg.Connection = await connect(database_url, application_name=APPLICATION_NAME)
    try:
        yield lambda: find_backlog(connection)
    finally:
        # A server that hangs is not waited for.
        connection.terminate()


async def find_backlog(connection: Connection) -> Backlog:
    """Return the backlog of all organizations. Raises what asyncpg raises."""
    pages = await count_open_pages(connection)
    ended = await count_ended_pages(connection, seconds=PACE_SECONDS, limit=PACE_JOBS)
    return Backlog(
        taken=time.monotonic(),
        interactive=pages.interactive,
        batch=pages.background,
        running=pages.running,
        oldest=pages.oldest,
        ended=ended,
    )
