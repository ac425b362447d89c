"""Claiming jobs, keeping them, and taking them over from workers that died."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from db import jobs as statements
from db.statements import Connection
from pagemill.jobs import backoff, outcomes
from pagemill.jobs.job import Job, JobKind, WorkerLost

REAPED_AT_ONCE = 50
PURGED_AT_ONCE = 1000


class Lease(msgspec.Struct, frozen=True):
    """A lease that was renewed; the job may have been asked to end."""

    job_id: str
    cancel_requested: bool


class Requeued(msgspec.Struct, frozen=True):
    """A job that was taken from a dead worker, and in how many seconds it can be claimed."""

    job_id: str
    delay: float


async def claim(connection: Connection, kind: JobKind, *, owner: str, lease: float, limit: int) -> list[Job]:
    """Up to ``limit`` jobs for ``owner``, leased for ``lease`` seconds.

    Organizations take turns: the one with the fewest running jobs of the kind is first; its own order is
    priority, then age.
    """
    rows = await statements.CLAIM.fetch(connection, kind, owner, lease, limit)
    return [msgspec.convert(dict(row), Job) for row in rows]


async def renew(connection: Connection, jobs: Iterable[Job], *, lease: float) -> list[Lease]:
    """Renew the leases of ``jobs`` in one statement; what is missing in the answer is lost."""
    held = list(jobs)
    rows = await statements.RENEW.fetch(
        connection, [job.id for job in held], [job.attempt for job in held], lease
    )
    return [Lease(row["id"], row["cancel_requested"]) for row in rows]


async def reap(connection: Connection) -> list[Requeued]:
    """End or requeue jobs whose lease has expired. One transaction, at most 50 jobs."""
    requeued = []
    async with connection.transaction():
        for row in await statements.EXPIRED.fetch(connection, REAPED_AT_ONCE):
            job = Job(*(row[name] for name in Job.__struct_fields__))
            delay = await _take_over(connection, job, cancel=row["cancel_requested"])
            if delay is not None:
                requeued.append(Requeued(job.id, delay))
    return requeued


async def _take_over(connection: Connection, job: Job, *, cancel: bool) -> float | None:
    """Returns the delay after which the job is tried again, None when it has ended."""
    if cancel:
        await outcomes.cancel(connection, job)
        return None
    lost = job.lost_workers + 1
    error = WorkerLost(f"The job lost its worker {'once' if lost == 1 else f'{lost} times'}")
    decision = backoff.decide(error, job, chance=random.random())
    if decision == "fail":
        await outcomes.fail(connection, job, error)
        return None
    await outcomes.retry(connection, job, error, delay=decision.delay)
    return decision.delay


async def purge(connection: Connection, *, retention: float) -> int:
    """Forget jobs that ended more than ``retention`` seconds ago, at most 1,000 at once."""
    return await statements.PURGE.execute(connection, retention, PURGED_AT_ONCE)
