"""What the operator does with jobs: look at them, end them, try failed ones again."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import msgspec

from db import jobs as statements
from db.operation import FIND_JOB, LIST_JOBS
from db.statements import Connection
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import JobId, OrganizationId
from pagemill.jobs.job import JobKind, JobState
from pagemill.jobs.queue import MAXIMUM_ATTEMPTS, request_cancel
from pagemill.jobs.subjects import SUBJECTS
from pagemill.usage.reservations import reserve


class JobReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job as its row tells it. ``subject_id`` is the resource that it works for."""

    id: str
    kind: JobKind
    organization_id: str
    subject_id: str
    state: JobState
    priority: int
    attempt: int
    maximum_attempts: int
    lost_workers: int
    run_after: datetime.datetime
    lease_owner: str | None
    lease_expires: datetime.datetime | None
    cancel_requested: bool
    error_class: str | None
    error_message: str | None
    retryable: bool | None
    created_time: datetime.datetime
    started_time: datetime.datetime | None
    ended_time: datetime.datetime | None


async def list_jobs(
    connection: Connection,
    *,
    states: Sequence[JobState] = (),
    kind: JobKind | None = None,
    organization_id: str | None = None,
    limit: int = 50,
) -> list[JobReport]:
    """The newest jobs first."""
    rows = await LIST_JOBS.fetch(connection, list(states) or None, kind, organization_id, limit)
    return [JobReport(**dict(row)) for row in rows]


async def find_job(connection: Connection, name: str) -> JobReport:
    """The job of an id, or the newest one that worked for a resource. Raises NotFound."""
    row = await FIND_JOB.fetch_one(connection, name)
    if row is None:
        raise NotFound(f"there is no job {name}, and none for it; ended ones are kept for some days only")
    return JobReport(**dict(row))


async def cancel_job(connection: Connection, name: str) -> JobReport:
    """Cancel a job that waits or runs; a running one ends when its worker has let go of it.

    Raises NotFound, and BadRequest when it has ended.
    """
    job = await find_job(connection, name)
    if not await request_cancel(connection, job.organization_id, job.subject_id):
        raise BadRequest(f"job {job.id} is {job.state} already")
    return await find_job(connection, job.id)


async def retry_job(connection: Connection, name: str) -> JobReport:
    """Queue a failed job again, its resource and its usage as they were when it was sent.

    Raises NotFound, BadRequest when it has not failed or its resource is gone, and LimitExceeded.
    """
    job = await find_job(connection, name)
    async with connection.transaction():
        requeued = await statements.REQUEUE_FAILED.fetch_one(
            connection, job.organization_id, job.id, MAXIMUM_ATTEMPTS
        )
        if requeued is None:
            raise BadRequest(f"job {job.id} is {job.state}: only failed jobs are tried again")
        subject = SUBJECTS[job.kind]
        if not await subject.reopen(connection, job.organization_id, job.subject_id):
            raise BadRequest(f"{job.subject_id} is gone: there is nothing to try again")
        if subject.reserved:
            await reserve(connection, OrganizationId(job.organization_id), JobId(job.id), subject.reserved)
    return await find_job(connection, job.id)
