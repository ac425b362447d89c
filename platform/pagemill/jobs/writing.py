"""Writing how jobs end, however long Postgres is away; jobs that succeed at the same time share a commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from db.pool import CONNECTION_ERRORS, acquire
from db.statements import Connection
from pagemill.batching import Batcher, BatchFailed
from pagemill.jobs import outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.outcomes import Finished, Result

logger = logging.getLogger(__name__)

Written = TypeVar("Written")

AWAY_SECONDS = 0.5
"""How long to wait before the next try while Postgres is away."""
FINISHED_AT_ONCE = 128
COMMITS_AT_ONCE = 2
"""While one transaction waits for the disk, the next one is made."""


class OutcomeWriter:
    """Belongs to one dispatcher, and takes connections of its pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._finished: Batcher[Finished, Exception | None] = Batcher(
            self._finish_together, max_size=FINISHED_AT_ONCE, concurrency=COMMITS_AT_ONCE
        )

    async def finish(self, job: Job, result: Result) -> None:
        """End a job that succeeded. Raises whatever is wrong with its result."""
        try:
            refused = await self._finished.submit(Finished(job, result))
        except BatchFailed as failed:
            refused = failed
        if refused is not None:
            raise refused

    async def close(self) -> None:
        """Write nothing more: what is not written is left to its lease."""
        await self._finished.close()

    async def write(self, what: str, write: Callable[[Connection], Awaitable[Written]]) -> Written:
        """Until it is done or refused; the leases of the jobs are renewed meanwhile."""
        while True:
            try:
                async with acquire(self._pool) as connection:
                    written = await write(connection)
            except CONNECTION_ERRORS as error:
                await wait_out(f"writing the outcome of {what}", error)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                continue
            else:
                return written

    async def _finish_together(self, finished: Sequence[Finished]) -> list[Exception | None]:
        """For each, why it was refused; a result that cannot be stored fails its own job only."""
        what = f"job {finished[0].job.id}" if len(finished) == 1 else f"{len(finished)} jobs"
        try:
            await self.write(what, lambda connection: outcomes.finish_together(connection, finished))
        except Exception as refused:  # noqa: BLE001 - raised to the one whose job it is
            if len(finished) == 1:
                return [refused]
            return [one for job in finished for one in await self._finish_together([job])]
        return [None] * len(finished)


async def wait_out(doing: str, error: BaseException) -> None:
    """Postgres is away: say so, and wait a little."""
    logger.warning("%s: Postgres is away: %s: %s", doing, type(error).__name__, error)
    await asyncio.sleep(AWAY_SECONDS)
