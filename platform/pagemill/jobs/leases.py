"""Claiming jobs, keeping their leases, and taking jobs over from workers that died."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from db import job_leases as statements
from db.job_leases import JobRow, LeaseRow
from db.jobs import hold_attempt
from db.statements import Connection
from pagemill.ids import JobId
from pagemill.jobs import backoff, outcomes
from pagemill.jobs.job import Job, JobCancelled, KindName, WorkerLost
from pagemill.jobs.job_spans import record_wait
from pagemill.jobs.kind import AnyKind, AnyKinds
from pagemill.jobs.observer import AttemptOutcome

REAP_BATCH_SIZE = 50
PURGE_BATCH_SIZE = 1000


class TakenOver(msgspec.Struct, frozen=True):
    """A job that was taken from a dead worker, what became of it, and when it can be claimed again."""

    job_id: JobId
    kind: KindName
    outcome: AttemptOutcome
    delay: float | None
    """Seconds until it can be claimed; None: it has ended."""


async def claim(connection: Connection, kind: AnyKind, *, owner: str, lease: float, limit: int) -> list[Job]:
    """Claim up to ``limit`` jobs for ``owner``, leased for ``lease`` seconds.

    Organizations take turns: the one with the fewest running jobs of the kind is first; its own order is
    priority, then age. Timers are claimed in the order in which they become due.
    """
    if kind.timing is None:
        rows = await statements.claim_jobs(connection, kind=kind.name, owner=owner, lease=lease, limit=limit)
    else:
        rows = await kind.timing.claim(connection, owner=owner, lease=lease, limit=limit)
    for row in rows:
        record_wait(row)
    return [_job_of(row, waited=(row.claimed_time - row.run_after).total_seconds()) for row in rows]


def _job_of(row: JobRow, *, waited: float = 0.0) -> Job:
    return Job(
        row.id,
        KindName(row.kind),
        row.organization_id,
        row.subject_id,
        row.payload,
        row.attempt,
        row.maximum_attempts,
        row.lost_workers,
        waited,
        row.trace_context,
    )


async def hold(connection: Connection, job: Job) -> None:
    """Keep the job from being taken over or cancelled until the caller's transaction ends.

    Raises JobCancelled when it has been already.
    """
    held = await hold_attempt(
        connection, organization_id=job.organization_id, job_id=job.id, attempt=job.attempt
    )
    if held is None:
        raise JobCancelled("The job was cancelled or taken over")


async def renew(connection: Connection, jobs: Iterable[Job], *, lease: float) -> list[LeaseRow]:
    """Renew the leases of ``jobs`` in one statement; jobs missing in the answer are lost."""
    held = list(jobs)
    return await statements.renew_leases(
        connection, job_ids=[job.id for job in held], attempts=[job.attempt for job in held], lease=lease
    )


async def reap(connection: Connection, kinds: AnyKinds) -> list[TakenOver]:
    """End or requeue jobs of ``kinds`` whose lease has expired, at most 50 in one transaction."""
    async with connection.transaction():
        rows = await statements.lock_expired_jobs(connection, limit=REAP_BATCH_SIZE, kinds=kinds.names)
        return [
            await _take_over(connection, kinds[row.kind], _job_of(row), cancel=row.cancel_requested)
            for row in rows
        ]


async def _take_over(connection: Connection, kind: AnyKind, job: Job, *, cancel: bool) -> TakenOver:
    if cancel:
        await outcomes.cancel(connection, kind, job)
        return TakenOver(job.id, job.kind, "cancelled", None)
    lost = job.lost_workers + 1
    error = WorkerLost(f"The job lost its worker {'once' if lost == 1 else f'{lost} times'}")
    decision = backoff.decide(error, job, chance=random.random(), lost_workers=kind.maximum_lost_workers)
    if decision == "fail":
        await outcomes.fail(connection, kind, job, error)
        return TakenOver(job.id, job.kind, "lost", None)
    await outcomes.retry(connection, job, error, delay=decision.delay)
    return TakenOver(job.id, job.kind, "retried", decision.delay)


async def purge(connection: Connection, *, retention: float) -> int:
    """Delete jobs that ended more than ``retention`` seconds ago, at most 1,000; return how many."""
    return await statements.delete_old_jobs(connection, retention=retention, limit=PURGE_BATCH_SIZE)
