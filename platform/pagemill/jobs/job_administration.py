"""The operator's view of jobs: list them, find one, cancel it, retry a failed one."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import msgspec

from db import job_reports
from db.job_outcomes import requeue_failed_job
from db.job_reports import JobReportRow
from db.jobs import JobState
from db.statements import Connection
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import JobId, OrganizationId, SubjectId
from pagemill.jobs.job import KindName
from pagemill.jobs.kind import MAXIMUM_ATTEMPTS, AnyKinds
from pagemill.jobs.queue import request_cancel


class JobReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The row of a job. ``subject_id`` is the resource that the job works for."""

    id: JobId
    kind: KindName
    organization_id: OrganizationId
    subject_id: SubjectId
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
    kind: KindName | None = None,
    organization_id: OrganizationId | None = None,
    limit: int = 50,
) -> list[JobReport]:
    """List jobs, the newest first."""
    rows = await job_reports.list_jobs(
        connection,
        states=list(states) or None,
        kind=kind,
        organization_id=organization_id,
        limit=limit,
    )
    return [_report_of(row) for row in rows]


def _report_of(row: JobReportRow) -> JobReport:
    return JobReport(**msgspec.structs.asdict(row))


async def find_job(connection: Connection, name: str) -> JobReport:
    """Return the job of an id, or the newest one that worked for a resource. Raises NotFound."""
    row = await job_reports.find_job(connection, name=name)
    if row is None:
        raise NotFound(f"there is no job {name}, and none for it; ended ones are kept for some days only")
    return _report_of(row)


async def cancel_job(connection: Connection, kinds: AnyKinds, name: str) -> JobReport:
    """Cancel an open job; a running one ends when its worker has let go of it.

    Raises NotFound, BadRequest when it has ended, and UnknownKind.
    """
    job = await find_job(connection, name)
    if not await request_cancel(
        connection, kinds[job.kind], organization_id=job.organization_id, subject_id=job.subject_id
    ):
        raise BadRequest(f"job {job.id} is {job.state} already")
    return await find_job(connection, job.id)


async def retry_job(connection: Connection, kinds: AnyKinds, name: str) -> JobReport:
    """Queue a failed job again, with its resource and its usage as they were when it was first queued.

    Raises NotFound, BadRequest when it has not failed or its resource is gone, LimitExceeded, UnknownKind.
    """
    job = await find_job(connection, name)
    kind = kinds[job.kind]
    async with connection.transaction():
        requeued = await requeue_failed_job(
            connection, organization_id=job.organization_id, job_id=job.id, more_attempts=MAXIMUM_ATTEMPTS
        )
        if requeued is None:
            raise BadRequest(f"job {job.id} is {job.state}: only failed jobs are tried again")
        if kind.reopen is not None and not await kind.reopen(connection, job.organization_id, job.subject_id):
            raise BadRequest(f"{job.subject_id} is gone: there is nothing to try again")
        if kind.usage is not None:
            await kind.usage.reserve(connection, job.organization_id, job.id)
    return await find_job(connection, job.id)
