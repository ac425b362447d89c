"""Runs jobs: claims them fairly, keeps their leases, writes how they end.

Any number of dispatchers may run; the rows decide. Nothing here is kept that Postgres does not know: a
dispatcher that is killed is replaced by any other one as soon as its leases have expired.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import asyncpg

from db.jobs import NOTIFY_READY
from db.pool import CONNECTION_ERRORS, acquire
from db.statements import Connection
from pagemill.concurrency import cancel_and_wait
from pagemill.jobs import backoff, leases, outcomes
from pagemill.jobs.job import CANCEL_CHANNEL, READY_CHANNEL, Job, JobKind
from pagemill.jobs.listening import Listening
from pagemill.jobs.outcomes import Result
from pagemill.jobs.schedule import Schedule, Scheduler
from pagemill.jobs.writing import OutcomeWriter, wait_out

logger = logging.getLogger(__name__)

Runner: TypeAlias = Callable[[Job], Awaitable[Result]]
Interruption: TypeAlias = Literal["lost", "cancelled", "stopped"]

CLAIMED_AT_ONCE = 128
PURGE_SECONDS = 3600.0
SCHEDULE_SECONDS = 60.0
"""How late a scheduled job may be."""
RETENTION_SECONDS = 7 * 24 * 3600.0


class Stopped(Exception):
    """The dispatcher gives the job back because it stops."""


@dataclass(slots=True)
class _Running:
    job: Job
    task: asyncio.Task[Result]
    interruption: Interruption | None = field(default=None)

    def interrupt(self, why: Interruption) -> None:
        """The first reason counts; a runner that has ended by itself keeps its result."""
        if self.interruption is None and not self.task.done():
            self.interruption = why
            self.task.cancel()


class Dispatcher:
    """``run`` works until ``stop`` is called; ``limits`` says how many jobs of each kind run at once.

    A kind that is not in ``limits`` runs one job at a time, and no kind takes another's places. ``owner``
    must be unique to this dispatcher. ``lease``, ``heartbeat`` and ``poll`` are in seconds. ``schedules`` say
    which jobs exist because it is time. The pool needs a connection for listening and some for the work;
    ``claiming`` is one with ``db.pool.PLANNED_ONCE``.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        runners: Mapping[JobKind, Runner],
        *,
        owner: str,
        lease: float,
        heartbeat: float,
        poll: float,
        limits: Mapping[JobKind, int],
        schedules: Sequence[Schedule] = (),
        claiming: asyncpg.Pool | None = None,
    ) -> None:
        if not 0 < heartbeat <= lease / 2:
            raise ValueError("a lease must outlast two heartbeats")
        self._pool, self._claiming = pool, claiming or pool
        self._runners = dict(runners)
        self._limits = {kind: limits.get(kind, 1) for kind in self._runners}
        self._owner = owner
        self._lease, self._heartbeat, self._poll = lease, heartbeat, poll
        self._scheduler = Scheduler(schedules)
        self._writer = OutcomeWriter(pool)
        self._running: dict[str, _Running] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._wake_claimer = asyncio.Event()
        self._to_claim: set[JobKind] = set(self._runners)
        self._wake_heart = asyncio.Event()
        self._stopping = asyncio.Event()
        self._listening = Listening(
            pool, [READY_CHANNEL, CANCEL_CHANNEL], heard=self._on_notification, connected=self._on_connected
        )

    @property
    def running(self) -> list[Job]:
        """The jobs that run here now."""
        return [running.job for running in self._running.values()]

    @property
    def is_listening(self) -> bool:
        """Whether notifications arrive; without them jobs are found by polling."""
        return self._listening.is_connected.is_set()

    async def run(self) -> None:
        """Work until ``stop`` is called, or for ever; Postgres being away is waited out."""
        loops = [
            asyncio.create_task(loop, name=name)
            for name, loop in (
                ("listen", self._listening.run()),
                ("claim", self._claim_jobs()),
                ("heartbeat", self._keep_leases()),
                ("reap", self._reap_leases()),
                ("purge", self._purge_jobs()),
                ("schedule", self._schedule_jobs()),
            )
        ]
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait({*loops, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await self._give_back(claiming=loops[1])
            for loop in loops:
                if loop.done() and not loop.cancelled():
                    loop.result()  # a loop ends only by a fault of its own: let it be seen
        finally:
            runners = [running.task for running in self._running.values()]
            for runner in runners:
                runner.cancel()  # once: it may have something to finish
            await cancel_and_wait([*loops, stopping])
            await asyncio.gather(*runners, return_exceptions=True)
            await cancel_and_wait(self._work)
            await self._writer.close()

    def stop(self) -> None:
        """Claim nothing more and give running jobs back to the queue at once; ``run`` then returns."""
        self._stopping.set()
        self._wake_claimer.set()

    def _on_notification(self, channel: str, payload: str) -> None:
        if channel == READY_CHANNEL:
            self._wake(*(kind for kind in self._runners if kind == payload))
        elif payload in self._running:
            self._wake_heart.set()

    async def _on_connected(self, _connection: Connection) -> None:
        self._wake(*self._runners)
        self._wake_heart.set()

    def _wake(self, *kinds: JobKind) -> None:
        """There may be jobs of these kinds, or places for them."""
        if kinds:
            self._to_claim.update(kinds)
            self._wake_claimer.set()

    async def _claim_jobs(self) -> None:
        while not self._stopping.is_set():
            self._wake_claimer.clear()
            kinds, self._to_claim = self._to_claim, set()
            for kind in self._runners:
                if kind in kinds and await self._claim_some(kind):
                    self._to_claim.add(kind)
            if not self._to_claim and not await _wait(
                self._wake_claimer, self._poll * random.uniform(0.8, 1.2)
            ):
                self._to_claim.update(self._runners)

    async def _claim_some(self, kind: JobKind) -> bool:
        """Start jobs of a kind in its free places; returns whether to ask again at once."""
        most = self._limits[kind]
        # At most half of the places: while some jobs end together, others are claimed.
        limit = min(CLAIMED_AT_ONCE, (most + 1) // 2, most - self._count(kind))
        if limit < 1:
            return False
        try:
            async with acquire(self._claiming) as connection:
                jobs = await leases.claim(connection, kind, owner=self._owner, lease=self._lease, limit=limit)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            await wait_out("claiming jobs", error)
            return True
        for job in jobs:
            self._start(job)
        return len(jobs) == limit and self._count(kind) < most

    def _count(self, kind: JobKind) -> int:
        return sum(running.job.kind == kind for running in self._running.values())

    def _start(self, job: Job) -> None:
        if job.id in self._running:
            self._running[job.id].interrupt("lost")  # its lease expired while this process stood still
        running = _Running(job, asyncio.create_task(_run(self._runners[job.kind], job), name=f"job {job.id}"))
        self._running[job.id] = running
        work = asyncio.create_task(self._see_through(running), name=f"outcome {job.id}")
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    async def _see_through(self, running: _Running) -> None:
        """Wait for the runner and write how the job ended; frees the job's place."""
        try:
            await _ended(running.task)
            await self._write_outcome(running)
        except Exception:
            logger.exception("job %s has no outcome; it is left to its lease", running.job.id)
        finally:
            # A job that was lost may run here again already.
            if self._running.get(running.job.id) is running:
                del self._running[running.job.id]
            self._wake(running.job.kind)

    async def _write_outcome(self, running: _Running) -> None:
        job = running.job
        match running.interruption:
            case "lost":
                logger.warning("job %s (attempt %d) was lost", job.id, job.attempt)
            case "cancelled":
                await self._write(job, lambda connection: outcomes.cancel(connection, job))
            case "stopped":
                await self._release(job)
            case None:
                await self._write_end(job, running.task)

    async def _write_end(self, job: Job, task: asyncio.Task[Result]) -> None:
        if task.cancelled():
            await self._write_error(job, asyncio.CancelledError("the runner was cancelled from within"))
            return
        error = task.exception()
        if error is not None:
            await self._write_error(job, error)
            return
        result = task.result()
        try:
            await self._writer.finish(job, result)
        except Exception as refused:  # noqa: BLE001 - a result that cannot be stored fails its own job only
            await self._write_error(job, refused)

    async def _write_error(self, job: Job, error: BaseException) -> None:
        decision = backoff.decide(error, job, chance=random.random())
        outcome = "failed" if decision == "fail" else f"is tried again in {decision.delay:.1f} s"
        known = outcomes.failure_of(error).message != outcomes.UNEXPECTED
        logger.log(
            logging.INFO if known else logging.ERROR,
            "%s job %s (attempt %d) %s: %s: %s",
            *(job.kind, job.id, job.attempt, outcome, type(error).__name__, error),
            exc_info=None if known else error,
        )
        if decision == "fail":
            await self._write(job, lambda connection: outcomes.fail(connection, job, error))
            return
        retried = await self._write(
            job,
            lambda connection: outcomes.retry(
                connection, job, error, delay=decision.delay, counts=decision.counts
            ),
        )
        if retried:
            self._wake_in(decision.delay, job.kind)
        else:
            # Not retried when it was asked to end meanwhile; when it was lost, this changes nothing either.
            await self._write(job, lambda connection: outcomes.cancel(connection, job))

    async def _write(self, job: Job, write: Callable[[Connection], Awaitable[bool]]) -> bool:
        return await self._writer.write(f"job {job.id}", write)

    async def _release(self, job: Job) -> None:
        """Tried once: a job that cannot be given back is taken over when its lease has expired."""

        async def release(connection: Connection) -> None:
            async with connection.transaction():
                if await outcomes.retry(connection, job, Stopped(), delay=0.0, counts=False):
                    await NOTIFY_READY.fetch_value(connection, job.kind)
                else:
                    await outcomes.cancel(connection, job)

        try:
            async with acquire(self._pool) as connection:
                await release(connection)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            logger.warning("job %s is not given back: %s", job.id, error)

    async def _give_back(self, *, claiming: asyncio.Task[None]) -> None:
        """Stop all runners; one that does not stop within a heartbeat is left to its lease."""
        # A claim under way is awaited: broken off, its jobs would wait for their leases to expire.
        self._wake_claimer.set()
        await asyncio.wait({claiming}, timeout=self._heartbeat)
        await cancel_and_wait([claiming])
        for running in self._running.values():
            running.interrupt("stopped")
        if self._work:
            await asyncio.wait(set(self._work), timeout=self._heartbeat)

    async def _keep_leases(self) -> None:
        while True:
            await _wait(self._wake_heart, self._heartbeat)
            self._wake_heart.clear()
            try:
                await self._renew()
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                await wait_out("renewing leases", error)
                self._wake_heart.set()

    async def _renew(self) -> None:
        held = [running for running in self._running.values() if running.interruption != "lost"]
        if not held:
            return
        async with acquire(self._pool) as connection:
            renewed = await leases.renew(connection, (running.job for running in held), lease=self._lease)
        cancel_requested = {lease.job_id: lease.cancel_requested for lease in renewed}
        for running in held:
            cancel = cancel_requested.get(running.job.id)
            if cancel is None:
                running.interrupt("lost")
            elif cancel:
                running.interrupt("cancelled")

    async def _reap_leases(self) -> None:
        while True:
            try:
                # Its own first: a process that stood still must not take its jobs from itself.
                await self._renew()
                async with acquire(self._pool) as connection:
                    requeued = await leases.reap(connection)
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                await wait_out("taking over jobs", error)
                # Leases that ran out while Postgres was away may have living owners, who renew them first.
                await asyncio.sleep(2 * self._heartbeat)
                continue
            for job in requeued:
                logger.warning("job %s lost its worker; tried again in %.1f s", job.job_id, job.delay)
                self._wake_in(job.delay, *self._runners)
            if len(requeued) < leases.REAPED_AT_ONCE:
                await asyncio.sleep(self._heartbeat)

    async def _purge_jobs(self) -> None:
        while True:
            try:
                async with acquire(self._pool) as connection:
                    purged = await leases.purge(connection, retention=RETENTION_SECONDS)
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                await wait_out("purging jobs", error)
                continue
            if purged < leases.PURGED_AT_ONCE:
                await asyncio.sleep(PURGE_SECONDS * random.uniform(0.8, 1.2))

    async def _schedule_jobs(self) -> None:
        while True:
            try:
                async with acquire(self._pool) as connection:
                    await self._scheduler.enqueue(connection)
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                await wait_out("queueing what is scheduled", error)
                continue
            await asyncio.sleep(SCHEDULE_SECONDS * random.uniform(0.5, 1.0))

    def _wake_in(self, delay: float, *kinds: JobKind) -> None:
        asyncio.get_running_loop().call_later(delay, self._wake, *kinds)


async def _run(runner: Runner, job: Job) -> Result:
    return await runner(job)


async def _ended(task: asyncio.Task[Result]) -> None:
    """What asyncio.wait does for one task, at a third of its cost: every job comes by here."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(_task: asyncio.Task[Result]) -> None:
        if not ended.done():
            ended.set_result(None)

    task.add_done_callback(tell)
    await ended


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether it happened within so many seconds."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
