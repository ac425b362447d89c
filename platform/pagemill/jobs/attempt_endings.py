"""Endings of attempts: the result, another try, or the error of a job whose runner has ended."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

from db.jobs import notify_ready
from db.pool import DATABASE_ERRORS, Pool, acquire
from db.statements import Connection
from pagemill.jobs import backoff, outcomes
from pagemill.jobs.job import Job, KindName, WorkerLost
from pagemill.jobs.kind import AnyKind
from pagemill.jobs.observer import AttemptOutcome
from pagemill.jobs.outcome_writer import OutcomeWriter

logger = logging.getLogger(__name__)


class Stopped(Exception):
    """The dispatcher gives the job back because it stops."""


class AttemptEndings:
    """Writer of the endings of one dispatcher's attempts.

    Each method returns what became of the attempt; None when the job has gone on without it. ``requeued`` is
    told in how many seconds a job of a kind can be claimed again.
    """

    def __init__(self, pool: Pool, *, requeued: Callable[[float, KindName], None]) -> None:
        self._pool, self._requeued = pool, requeued
        self._writer = OutcomeWriter(pool)

    async def close(self) -> None:
        """Write nothing more; jobs without an outcome are left to their leases."""
        await self._writer.close()

    async def end(self, kind: AnyKind, job: Job, runner: asyncio.Task[Any]) -> AttemptOutcome | None:
        """Write what a runner has returned or raised."""
        if runner.cancelled():
            return await self._fail(kind, job, asyncio.CancelledError("the runner was cancelled from within"))
        error = runner.exception()
        if error is not None:
            return await self._fail(kind, job, error)
        result = runner.result()
        try:
            state = await self._writer.finish(kind, job, result)
        except Exception as refused:  # noqa: BLE001 - a result that cannot be stored fails its own job only
            return await self._fail(kind, job, refused)
        if state is None:
            return None
        return "succeeded" if state == "succeeded" else "cancelled"

    async def cancel(self, kind: AnyKind, job: Job) -> AttemptOutcome | None:
        """End a job that was asked to end."""
        written = await self._write(job, lambda connection: outcomes.cancel(connection, kind, job))
        return "cancelled" if written else None

    async def give_back(self, kind: AnyKind, job: Job) -> AttemptOutcome | None:
        """Give a job back, once: one that cannot be given back is taken over when its lease has expired."""
        try:
            async with acquire(self._pool) as connection, connection.transaction():
                if await outcomes.retry(connection, job, Stopped(), delay=0.0, counts=False):
                    await notify_ready(connection, kind=kind.name)
                    return "retried"
                return "cancelled" if await outcomes.cancel(connection, kind, job) else None
        except DATABASE_ERRORS as error:
            logger.warning("job %s is not given back: %s", job.id, error)
            return None

    async def _fail(self, kind: AnyKind, job: Job, error: BaseException) -> AttemptOutcome | None:
        decision = backoff.decide(error, job, chance=random.random(), lost_workers=kind.maximum_lost_workers)
        outcome = "failed" if decision == "fail" else f"is tried again in {decision.delay:.1f} s"
        known = outcomes.recorded_error(error).message != outcomes.UNEXPECTED
        logger.log(
            logging.INFO if known else logging.ERROR,
            "%s job %s (attempt %d) %s: %s: %s",
            *(kind.name, job.id, job.attempt, outcome, type(error).__name__, error),
            exc_info=None if known else error,
        )
        if decision == "fail":
            written = await self._write(job, lambda connection: outcomes.fail(connection, kind, job, error))
            given_up: AttemptOutcome = "lost" if isinstance(error, WorkerLost) else "failed"
            return given_up if written else None
        retried = await self._write(
            job,
            lambda connection: outcomes.retry(
                connection, job, error, delay=decision.delay, counts=decision.counts
            ),
        )
        if retried:
            self._requeued(decision.delay, kind.name)
            return "retried"
        # Not retried when it was asked to end meanwhile; when it was lost, this changes nothing either.
        return await self.cancel(kind, job)

    async def _write(self, job: Job, write: Callable[[Connection], Awaitable[bool]]) -> bool:
        return await self._writer.write(f"job {job.id}", write)
