"""Writing how a job ends: one transaction for the job, its subject, its usage and the notification.

The first terminal write wins. Every function returns False, or no state, and has changed nothing, when the
job has gone on without the caller: it has ended, or a later attempt has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from db import job_outcomes as statements
from db.jobs import JobState
from db.statements import Connection
from pagemill import errors
from pagemill.errors import PagemillError
from pagemill.ids import JobId, OrganizationId
from pagemill.jobs.job import Job, WorkerLost
from pagemill.jobs.kind import AnyKind, Finished, JobKind

Result = TypeVar("Result")

UNEXPECTED = "Internal Server Error"
LONGEST_MESSAGE = 4096


class RecordedError(msgspec.Struct, frozen=True):
    """The part of an error that is kept in the job's row: only Pagemill's own errors show their message."""

    error_class: str
    message: str
    retryable: bool


def recorded_error(error: BaseException) -> RecordedError:
    """Return the part of an error to keep. Pagemill's own errors say whether to retry; others may go away."""
    if isinstance(error, PagemillError):
        return RecordedError(_class_name(error), error.message[:LONGEST_MESSAGE], error.retryable)
    return RecordedError(type(error).__name__, UNEXPECTED, retryable=True)


def _class_name(error: PagemillError) -> str:
    """Return the name under which ``EndedJob.error`` finds the class, also when Ray has derived from it."""
    ancestors: tuple[type, ...] = type(error).__mro__
    for ancestor in ancestors:
        name = ancestor.__name__
        if ancestor is not PagemillError and getattr(errors, name, None) is ancestor:
            return name
    return type(error).__name__


class FinishedOfKind(NamedTuple):
    """A finished job and its kind."""

    kind: AnyKind
    finished: Finished[Any]


async def finish(connection: Connection, kind: JobKind[Any, Result], job: Job, result: Result) -> bool:
    """End the job with its result. A job that was asked to end before ends cancelled instead."""
    return (await finish_together(connection, [FinishedOfKind(kind, Finished(job, result))]))[0] is not None


async def finish_together(connection: Connection, batch: Sequence[FinishedOfKind]) -> list[JobState | None]:
    """End several jobs with their results; return the final state of each.

    It is None when the job has gone on without the caller. A result that is refused refuses others too; those
    that have ended stay so when it is tried again.
    """
    ended = await _end_at_once(connection, batch)
    rest = [one for one in batch if one.finished.job.id not in ended]
    states = await _end_rest(connection, rest)
    return ["succeeded" if one.finished.job.id in ended else _state(states, one) for one in batch]


async def _end_at_once(connection: Connection, batch: Sequence[FinishedOfKind]) -> set[JobId]:
    """End the jobs of the kinds that end theirs at once, as far as these do; return which have ended."""
    ended: set[JobId] = set()
    for kind, of_kind in _by_kind(batch):
        if kind.end_at_once is not None:
            ended.update(await kind.end_at_once(connection, of_kind))
    return ended


async def _end_rest(connection: Connection, batch: Sequence[FinishedOfKind]) -> dict[JobId, JobState]:
    """End jobs in one transaction; return the final state of each whose attempt is still current."""
    if all(kind.ends_with_its_job for kind, _ in batch):
        # One statement is a transaction by itself.
        return await _end_together(connection, batch) if batch else {}
    async with connection.transaction():
        states = await _end_together(connection, batch)
        await _write_results(connection, [one for one in batch if _state(states, one) == "succeeded"])
        for kind, (job, _) in (one for one in batch if _state(states, one) == "cancelled"):
            await _refund(connection, kind, job.organization_id, job.id)
    return states


def _state(states: dict[JobId, JobState], one: FinishedOfKind) -> JobState | None:
    return states.get(one.finished.job.id)


async def _end_together(connection: Connection, batch: Sequence[FinishedOfKind]) -> dict[JobId, JobState]:
    """Return the final state of each job whose attempt is still current."""
    jobs = [finished.job for _, finished in batch]
    rows = await statements.end_succeeded_jobs(
        connection,
        organization_ids=[job.organization_id for job in jobs],
        job_ids=[job.id for job in jobs],
        attempts=[job.attempt for job in jobs],
    )
    return {row.id: row.state for row in rows}


async def _write_results(connection: Connection, batch: Sequence[FinishedOfKind]) -> None:
    """Write the results of all kinds, then their usage."""
    ordered = _by_kind(batch)
    for kind, of_kind in ordered:
        if kind.succeed is not None:
            await kind.succeed(connection, of_kind)
    for kind, of_kind in ordered:
        if kind.usage is not None:
            await kind.usage.settle(connection, of_kind)


def _by_kind(batch: Sequence[FinishedOfKind]) -> list[tuple[AnyKind, list[Finished[Any]]]]:
    """Return the jobs of each kind, in the order of names.

    The order is the same for everybody: transactions that lock the same counters must not wait in a ring.
    """
    by_kind: dict[str, tuple[AnyKind, list[Finished[Any]]]] = {}
    for kind, finished in batch:
        by_kind.setdefault(kind.name, (kind, []))[1].append(finished)
    return [by_kind[name] for name in sorted(by_kind)]


async def fail(connection: Connection, kind: AnyKind, job: Job, error: BaseException) -> bool:
    """End the job with an error, for good."""
    recorded = recorded_error(error)
    async with connection.transaction():
        state = await _end(connection, job, "failed", recorded)
        if state is not None:
            await _refund(connection, kind, job.organization_id, job.id)
        if state == "failed" and kind.fail is not None:
            await kind.fail(connection, job.organization_id, job.subject_id, recorded.message)
    return state is not None


async def retry(
    connection: Connection, job: Job, error: BaseException, *, delay: float, counts: bool = True
) -> bool:
    """Give the job back to the queue, to be claimed in ``delay`` seconds at the earliest.

    An attempt that does not count raises the number of attempts instead: the attempt itself stays the
    fencing token and never goes back. Lost workers are counted separately.
    """
    recorded = recorded_error(error)
    retried = await statements.retry_job(
        connection,
        organization_id=job.organization_id,
        job_id=job.id,
        attempt=job.attempt,
        delay=delay,
        more_attempts=0 if counts else 1,
        error_class=recorded.error_class,
        error_message=recorded.message,
        lost_workers=int(isinstance(error, WorkerLost)),
    )
    return retried is not None


async def cancel(connection: Connection, kind: AnyKind, job: Job) -> bool:
    """End a running job that was asked to end; its subject was written when it was asked."""
    async with connection.transaction():
        state = await _end(connection, job, "cancelled", None)
        if state is not None:
            await _refund(connection, kind, job.organization_id, job.id)
    return state is not None


async def cancel_queued(
    connection: Connection, kind: AnyKind, organization_id: OrganizationId, job_id: JobId
) -> bool:
    """End a job that no dispatcher has claimed."""
    async with connection.transaction():
        ended = await statements.cancel_queued_job(connection, organization_id=organization_id, job_id=job_id)
        if ended is not None:
            await _refund(connection, kind, organization_id, job_id)
    return ended is not None


async def _refund(
    connection: Connection, kind: AnyKind, organization_id: OrganizationId, job_id: JobId
) -> None:
    if kind.usage is not None:
        await kind.usage.refund(connection, organization_id, job_id)


async def _end(
    connection: Connection, job: Job, state: JobState, recorded: RecordedError | None
) -> JobState | None:
    return await statements.end_job(
        connection,
        organization_id=job.organization_id,
        job_id=job.id,
        attempt=job.attempt,
        state=state,
        error_class=None if recorded is None else recorded.error_class,
        error_message=None if recorded is None else recorded.message,
        retryable=None if recorded is None else recorded.retryable,
    )
