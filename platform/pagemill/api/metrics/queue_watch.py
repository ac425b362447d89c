"""Figures of the queue, the dispatchers and executions, asked of Postgres while somebody scrapes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

import asyncpg
import msgspec

from db.dispatchers import list_dispatchers
from db.job_reports import list_open_jobs
from db.mail import count_refused_mail
from db.pool import DATABASE_ERRORS, connect
from db.statements import Connection
from pagemill.work.open_pages import OpenPages, count_open_pages
from pagemill.workflows.execution_figures import ExecutionFigures, ExecutionWatch

APPLICATION_NAME = "pagemill metrics"
KEPT_SECONDS = 5.0
"""For so long an answer is shown again, however often and by how many the page is asked for."""
ANSWER_SECONDS = 3.0
"""Longest wait for Postgres: Prometheus waits ten seconds for a page, which has other figures too."""

logger = logging.getLogger(__name__)


class QueueFigures(msgspec.Struct, frozen=True):
    """Jobs that may run and that run, by kind, with the age of the oldest that waits; dispatchers by role."""

    waiting: Mapping[str, int]
    running: Mapping[str, int]
    oldest: Mapping[str, float]
    pages: OpenPages
    dispatchers: Mapping[str, int]
    executions: ExecutionFigures = ExecutionFigures()
    refused_mail: int = 0
    """In the last day."""


class QueueWatch:
    """Watch of one process, for one event loop. Its connection is none of those that requests use."""

    def __init__(self, database_url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database_url, self._clock = database_url, clock
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        self._latest: QueueFigures | None = None
        self._asked: float | None = None
        self._is_failing = False
        self._executions = ExecutionWatch()

    async def latest(self) -> QueueFigures | None:
        """Return figures that are five seconds old at most; None when Postgres does not give any."""
        async with self._turn:
            if self._asked is None or self._clock() - self._asked > KEPT_SECONDS:
                self._latest = await self._ask()
                self._asked = self._clock()
            return self._latest

    def close(self) -> None:
        """Close the connection without waiting for the server."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _ask(self) -> QueueFigures | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._connection is None:
                    self._connection = await connect(
                        self._database_url,
                        application_name=APPLICATION_NAME,
                        statement_seconds=ANSWER_SECONDS,
                    )
                found = await find_queue_figures(self._connection, self._executions)
        except DATABASE_ERRORS as error:
            self._report(error)
            self.close()
            return None
        except asyncio.CancelledError:
            self.close()
            raise
        self._is_failing = False
        return found

    def _report(self, error: BaseException) -> None:
        """Log a failure, once until there is an answer again."""
        if not self._is_failing:
            self._is_failing = True
            # The address of the database can be part of a message: only the class is written.
            logger.warning("metrics: the database gives no figures: %s", type(error).__name__)


async def find_queue_figures(connection: Connection, executions: ExecutionWatch) -> QueueFigures:
    """Return the figures of all organizations. Raises what asyncpg raises."""
    jobs = await list_open_jobs(connection)
    dispatchers = await list_dispatchers(connection)
    return QueueFigures(
        waiting={row.kind: row.jobs for row in jobs if row.state == "queued"},
        running={row.kind: row.jobs for row in jobs if row.state == "running"},
        oldest={row.kind: row.oldest for row in jobs if row.state == "queued"},
        pages=await count_open_pages(connection),
        dispatchers=Counter(row.role for row in dispatchers if not row.draining),
        executions=await executions.ask(connection),
        refused_mail=await count_refused_mail(connection),
    )
