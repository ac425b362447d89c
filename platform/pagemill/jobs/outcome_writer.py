"""Writing outcomes although Postgres may be away; jobs that succeed at the same time share a commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeVar

import asyncpg

from db.jobs import JobState
from db.pool import CONNECTION_ERRORS, Pool, acquire
from db.statements import Connection
from pagemill.batching import Batcher
from pagemill.jobs import outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.kind import Finished, JobKind
from pagemill.jobs.outcomes import FinishedOfKind

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Written = TypeVar("Written")

AWAY_SECONDS = 0.5
"""Pause before the next try while Postgres is away."""
FINISH_BATCH_SIZE = 128
CONCURRENT_COMMITS = 2
"""While one transaction waits for the disk, the next one is made."""


class OutcomeWriter:
    """Writer of one dispatcher's outcomes, on connections of its pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._finished: Batcher[FinishedOfKind, Exception | JobState | None] = Batcher(
            self._finish_together,
            max_size=FINISH_BATCH_SIZE,
            concurrency=CONCURRENT_COMMITS,
            group=_group,
        )

    async def finish(self, kind: JobKind[Any, Result], job: Job, result: Result) -> JobState | None:
        """End a job that succeeded and return its state; None when a later attempt has it.

        Raises the error that its result caused, and BatchFailed.
        """
        ended = await self._finished.submit(FinishedOfKind(kind, Finished(job, result)))
        if isinstance(ended, Exception):
            raise ended
        return ended

    async def close(self) -> None:
        """Write nothing more; jobs without an outcome are left to their leases."""
        await self._finished.close()

    async def write(self, subject: str, write: Callable[[Connection], Awaitable[Written]]) -> Written:
        """Repeat ``write`` until Postgres takes or refuses it; leases are renewed meanwhile.

        ``subject`` names the jobs in the log.
        """
        return await write_patiently(self._pool, f"writing the outcome of {subject}", write)

    async def _finish_together(self, batch: Sequence[FinishedOfKind]) -> list[Exception | JobState | None]:
        """Return each job's state or error; a result that cannot be stored fails its own job only."""
        subject = f"job {batch[0].finished.job.id}" if len(batch) == 1 else f"{len(batch)} jobs"
        try:
            states = await self.write(subject, lambda connection: outcomes.finish_together(connection, batch))
        except Exception as refused:  # noqa: BLE001 - raised to the one whose job it is
            if len(batch) == 1:
                return [refused]
            return [ended for one in batch for ended in await self._finish_together([one])]
        return list(states)


def _group(one: FinishedOfKind) -> Hashable:
    """Return what has one batch at a time: all jobs of a kind that is gathered, otherwise each by itself."""
    return one.kind.name if one.kind.gathered else id(one)


async def write_patiently(
    pool: Pool, doing: str, write: Callable[[Connection], Awaitable[Written]]
) -> Written:
    """Repeat ``write`` until Postgres takes or refuses it; ``doing`` is for the log."""
    while True:
        try:
            async with acquire(pool) as connection:
                written = await write(connection)
        except CONNECTION_ERRORS as error:
            await wait_out(doing, error)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            continue
        else:
            return written


async def wait_out(doing: str, error: BaseException) -> None:
    """Log that Postgres is away, and pause."""
    logger.warning("%s: Postgres is away: %s: %s", doing, type(error).__name__, error)
    await asyncio.sleep(AWAY_SECONDS)
