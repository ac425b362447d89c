"""Dispatcher of jobs: it claims them fairly, keeps their leases and writes how they end.

Any number of dispatchers may run; the rows decide. A dispatcher holds nothing that Postgres does not know:
one that is killed is replaced by any other one as soon as its leases have expired.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from db.pool import DATABASE_ERRORS, Pool, acquire
from db.statements import Connection
from pagemill.concurrency import cancel_and_wait
from pagemill.ids import JobId
from pagemill.jobs import leases
from pagemill.jobs.attempt_endings import AttemptEndings
from pagemill.jobs.job import CANCEL_CHANNEL, READY_CHANNEL, Job, KindName
from pagemill.jobs.job_spans import outcome_span, run_span
from pagemill.jobs.kind import AnyKind, JobKinds, RunnableKind, Runner
from pagemill.jobs.notifications import NotificationListener
from pagemill.jobs.observer import NOBODY, AttemptOutcome, JobObserver
from pagemill.jobs.outcome_writer import wait_out
from pagemill.jobs.schedule import schedules_of
from pagemill.jobs.upkeep import QueueUpkeep

logger = logging.getLogger(__name__)

Interruption: TypeAlias = Literal["lost", "cancelled", "stopped"]

CLAIM_BATCH_SIZE = 128
SHORTEST_ALARM = 0.02
"""Seconds before what is due is claimed again: another dispatcher may be claiming it just now."""
LONGEST_ALARM = 3600.0
"""Timers that are due later are looked for by then."""
GATHERING_SECONDS = 0.001
"""For each running job of a kind that is gathered, the time from one claim to the next."""
LONGEST_GATHERING = 0.02


def claim_limit(most: int, running: int) -> int:
    """Return how many jobs of a kind to claim at once while ``running`` of at most ``most`` run.

    At most half of them: while some jobs end together, others are claimed.
    """
    return max(0, min(CLAIM_BATCH_SIZE, (most + 1) // 2, most - running))


@dataclass(slots=True)
class _Running:
    kind: AnyKind
    job: Job
    task: asyncio.Task[Any]
    interruption: Interruption | None = field(default=None)
    begun: float = field(default_factory=time.monotonic)

    def interrupt(self, why: Interruption) -> None:
        """Cancel the runner. The first reason counts; a runner that has ended keeps its result."""
        if self.interruption is None and not self.task.done():
            self.interruption = why
            self.task.cancel()


class Dispatcher:
    """Dispatcher that works from ``run`` until ``stop``, on jobs of the given kinds.

    No kind uses another's concurrency. ``owner`` must be unique to this dispatcher. ``lease``, ``heartbeat``
    and ``poll`` are in seconds. The pool needs a connection for listening and some for the work; ``claiming``
    is a pool with ``db.pool.PLANNED_ONCE``. ``observer`` is told of its jobs.
    """

    def __init__(
        self,
        pool: Pool,
        kinds: Iterable[RunnableKind[Any]],
        *,
        owner: str,
        lease: float,
        heartbeat: float,
        poll: float,
        claiming: Pool | None = None,
        observer: JobObserver = NOBODY,
    ) -> None:
        if not 0 < heartbeat <= lease / 2:
            raise ValueError("a lease must outlast two heartbeats")
        runnable = list(kinds)
        self._kinds: dict[KindName, RunnableKind[Any]] = {one.kind.name: one for one in runnable}
        self._concurrency = {one.kind.name: one.concurrency for one in runnable}
        self._pool, self._claiming = pool, claiming or pool
        self._owner = owner
        self._lease, self._heartbeat, self._poll = lease, heartbeat, poll
        self._endings, self._observer = AttemptEndings(pool, requeued=self._wake_in), observer
        self._running: dict[JobId, _Running] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._wake_claimer = asyncio.Event()
        self._to_claim: set[KindName] = set(self._kinds)
        self._may_wait: set[KindName] = set()
        self._alarms: dict[KindName, asyncio.TimerHandle] = {}
        self._claimed_at: dict[KindName, float] = {}
        self._gathering: set[KindName] = set()
        self._wake_heart = asyncio.Event()
        self._draining = asyncio.Event()
        self._stopping = asyncio.Event()
        self._notifications = NotificationListener(
            pool, [READY_CHANNEL, CANCEL_CHANNEL], heard=self._on_notification, connected=self._on_connected
        )
        self._upkeep = QueueUpkeep(
            pool,
            JobKinds(one.kind for one in runnable),
            schedules_of(runnable),
            heartbeat=heartbeat,
            renew=self._renew,
            requeued=lambda delay: self._wake_in(delay, *self._kinds),
            observer=observer,
        )

    @property
    def running(self) -> list[Job]:
        """Jobs that run here now."""
        return [running.job for running in self._running.values()]

    @property
    def is_listening(self) -> bool:
        """Return whether notifications arrive; without them jobs are found by polling."""
        return self._notifications.is_connected.is_set()

    @property
    def is_draining(self) -> bool:
        """Return whether it claims nothing more."""
        return self._draining.is_set()

    @property
    def concurrency(self) -> dict[str, int]:
        """Return the number of jobs of each kind that run at a time."""
        return {str(name): concurrency for name, concurrency in self._concurrency.items()}

    def set_concurrency(self, name: KindName, concurrency: int) -> None:
        """Run so many jobs of a kind at a time from now on; those that run already go on."""
        before, self._concurrency[name] = self._concurrency[name], concurrency
        if concurrency > before:
            self._wake(name)

    async def run(self) -> None:
        """Work until ``stop`` or ``drain`` is called, and wait while Postgres is away."""
        claiming = asyncio.create_task(self._claim_jobs(), name="claim")
        keeping = [
            asyncio.create_task(self._notifications.run(), name="listen"),
            asyncio.create_task(self._keep_leases(), name="heartbeat"),
        ]
        upkeep = [
            asyncio.create_task(self._upkeep.reap_leases(), name="reap"),
            asyncio.create_task(self._upkeep.purge_jobs(), name="purge"),
            asyncio.create_task(self._upkeep.schedule_jobs(), name="schedule"),
        ]
        loops = [claiming, *keeping, *upkeep]
        draining = asyncio.create_task(self._draining.wait(), name="drain")
        try:
            await asyncio.wait({*loops, draining}, return_when=asyncio.FIRST_COMPLETED)
            await self._end_claiming(claiming)
            if self._draining.is_set() and not self._stopping.is_set():
                await cancel_and_wait(upkeep)
                await self._let_jobs_end(keeping)
            await self._give_back()
            for loop in loops:
                if loop.done() and not loop.cancelled():
                    loop.result()  # a loop ends only by a fault of its own: let it be seen
        finally:
            runners = [running.task for running in self._running.values()]
            for runner in runners:
                runner.cancel()  # once: it may have something to finish
            await cancel_and_wait([*loops, draining])
            await asyncio.gather(*runners, return_exceptions=True)
            await cancel_and_wait(self._work)
            await self._endings.close()

    def stop(self) -> None:
        """Claim nothing more and give running jobs back to the queue at once; ``run`` then returns."""
        self._draining.set()
        self._stopping.set()
        self._wake_claimer.set()

    def drain(self, seconds: float | None) -> None:
        """Claim nothing more, let running jobs end, and give back those that have not within ``seconds``.

        None lets them take their time; ``run`` then returns. Their leases are kept and they can be cancelled.
        """
        self._draining.set()
        self._wake_claimer.set()
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self._stopping.set)

    def _on_notification(self, channel: str, payload: str) -> None:
        if channel == READY_CHANNEL:
            self._wake(*(name for name in self._kinds if name == payload))
        elif payload in self._running:
            self._wake_heart.set()

    async def _on_connected(self, _connection: Connection) -> None:
        self._wake(*self._kinds)
        self._wake_heart.set()

    def _wake(self, *names: KindName) -> None:
        """Make the claimer look for jobs of these kinds, at once or when some more may have come."""
        at_once = [name for name in names if not self._gathers(name)]
        if at_once:
            self._to_claim.update(at_once)
            self._wake_claimer.set()

    def _gathers(self, name: KindName) -> bool:
        """Return whether a kind is looked at later: while many of its jobs run, some are claimed together."""
        kind = self._kinds[name].kind
        if not kind.gathered:
            return False
        loop = asyncio.get_running_loop()
        pause = min(GATHERING_SECONDS * self._count(kind), LONGEST_GATHERING)
        left = self._claimed_at.get(name, 0.0) + pause - loop.time()
        if left <= 0:
            return False
        if name not in self._gathering:
            self._gathering.add(name)
            loop.call_later(left, self._gathered, name)
        return True

    def _gathered(self, name: KindName) -> None:
        self._gathering.discard(name)
        self._to_claim.add(name)
        self._wake_claimer.set()

    def _wake_in(self, delay: float, *names: KindName) -> None:
        asyncio.get_running_loop().call_later(delay, self._wake, *names)

    async def _claim_jobs(self) -> None:
        while not self._draining.is_set():
            self._wake_claimer.clear()
            names, self._to_claim = self._to_claim, set()
            for name, runnable in self._kinds.items():
                if name in names and await self._claim_some(runnable):
                    self._to_claim.add(name)
            if not self._to_claim and not await _wait(
                self._wake_claimer, self._poll * random.uniform(0.8, 1.2)
            ):
                self._to_claim.update(self._kinds)

    async def _claim_some(self, runnable: RunnableKind[Any]) -> bool:
        """Start jobs of a kind as far as its concurrency allows; return whether to ask again at once."""
        kind, most = runnable.kind, self._concurrency[runnable.kind.name]
        limit = claim_limit(most, self._count(kind))
        self._may_wait.add(kind.name)
        if limit < 1:
            return False
        self._claimed_at[kind.name] = asyncio.get_running_loop().time()
        try:
            async with acquire(self._claiming) as connection:
                jobs = await leases.claim(connection, kind, owner=self._owner, lease=self._lease, limit=limit)
                if kind.timing is not None and len(jobs) < limit:
                    self._set_alarm(kind, await kind.timing.seconds_to_next(connection))
        except DATABASE_ERRORS as error:
            await wait_out("claiming jobs", error)
            return True
        if len(jobs) < limit:
            # None is left that could begin when another one ends: others are heard of.
            self._may_wait.discard(kind.name)
        for job in jobs:
            self._observer.claimed(job.kind, job.waited)
            self._start(runnable, job)
        return len(jobs) == limit and self._count(kind) < most

    def _set_alarm(self, kind: AnyKind, seconds: float | None) -> None:
        """Look for jobs of a kind again when the next of its timers is due."""
        if (alarm := self._alarms.pop(kind.name, None)) is not None:
            alarm.cancel()
        if seconds is not None:
            loop, delay = asyncio.get_running_loop(), min(max(seconds, SHORTEST_ALARM), LONGEST_ALARM)
            self._alarms[kind.name] = loop.call_later(delay, self._wake, kind.name)

    def _count(self, kind: AnyKind) -> int:
        return sum(running.kind is kind for running in self._running.values())

    def _start(self, runnable: RunnableKind[Any], job: Job) -> None:
        if job.id in self._running:
            self._running[job.id].interrupt("lost")  # its lease expired while this process stood still
        task = asyncio.create_task(_run(runnable.run, job), name=f"job {job.id}")
        running = self._running[job.id] = _Running(runnable.kind, job, task)
        work = asyncio.create_task(self._see_through(running), name=f"outcome {job.id}")
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    async def _see_through(self, running: _Running) -> None:
        """Wait for the runner and write how the job ended."""
        try:
            await _ended(running.task)
            outcome = await self._write_outcome(running)
            if outcome is not None:
                self._observer.ran(running.kind.name, time.monotonic() - running.begun)
                self._observer.ended(running.kind.name, outcome)
        except Exception:
            logger.exception("job %s has no outcome; it is left to its lease", running.job.id)
        finally:
            # A job that was lost may run here again already.
            if self._running.get(running.job.id) is running:
                del self._running[running.job.id]
            if running.kind.name in self._may_wait:
                self._wake(running.kind.name)

    async def _write_outcome(self, running: _Running) -> AttemptOutcome | None:
        """Return what became of the attempt; None when the job has gone on without it."""
        with outcome_span(running.job) as span:
            outcome = await self._end_job(running)
            span.set({"pagemill.job.outcome": outcome or "lost"})
            return outcome

    async def _end_job(self, running: _Running) -> AttemptOutcome | None:
        kind, job = running.kind, running.job
        match running.interruption:
            case "lost":
                logger.warning("job %s (attempt %d) was lost", job.id, job.attempt)
                return None
            case "cancelled":
                return await self._endings.cancel(kind, job)
            case "stopped":
                return await self._endings.give_back(kind, job)
            case None:
                return await self._endings.end(kind, job, running.task)

    async def _end_claiming(self, claiming: asyncio.Task[None]) -> None:
        # A claim under way is awaited: interrupted, its jobs would wait for their leases to expire.
        self._wake_claimer.set()
        await asyncio.wait({claiming}, timeout=self._heartbeat)
        await cancel_and_wait([claiming])

    async def _let_jobs_end(self, keeping: Sequence[asyncio.Task[None]]) -> None:
        """Wait until all jobs have ended, until ``stop``, or until one of the loops that keep them fails."""
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        ending = asyncio.create_task(self._jobs_ended(), name="last job")
        try:
            await asyncio.wait({*keeping, stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait([stopping, ending])

    async def _jobs_ended(self) -> None:
        while self._work:
            await asyncio.wait(set(self._work))

    async def _give_back(self) -> None:
        """Stop all runners; one that does not stop within a heartbeat is left to its lease."""
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
            except DATABASE_ERRORS as error:
                await wait_out("renewing leases", error)
                self._wake_heart.set()

    async def _renew(self) -> None:
        held = [running for running in self._running.values() if running.interruption != "lost"]
        if not held:
            return
        async with acquire(self._pool) as connection:
            renewed = await leases.renew(connection, (running.job for running in held), lease=self._lease)
        cancel_requested = {lease.id: lease.cancel_requested for lease in renewed}
        for running in held:
            cancel = cancel_requested.get(running.job.id)
            if cancel is None:
                running.interrupt("lost")
            elif cancel:
                running.interrupt("cancelled")


async def _run(runner: Runner[Any], job: Job) -> Any:
    with run_span(job):
        return await runner(job)


async def _ended(task: asyncio.Task[Any]) -> None:
    """Wait for one task like asyncio.wait, at a third of its cost: every job comes by here."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(_task: asyncio.Task[Any]) -> None:
        if not ended.done():
            ended.set_result(None)

    task.add_done_callback(tell)
    await ended


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Return whether the event happened within so many seconds."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
