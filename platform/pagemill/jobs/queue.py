"""Queueing and cancelling jobs, and reading how they ended."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from db import jobs as statements
from db.statements import Connection
from pagemill.ids import JobId, OrganizationId, SubjectId
from pagemill.jobs import outcomes
from pagemill.jobs.job import EndedJob
from pagemill.jobs.kind import AnyKind
from pagemill.tracing.spans import context_to_send


def new_job_id() -> JobId:
    """Return the id of a new job."""
    return JobId(uuid.uuid4().hex)


async def enqueue(
    connection: Connection,
    kind: AnyKind,
    *,
    organization_id: OrganizationId,
    subject_id: str,
    payload: Mapping[str, Any] | None = None,
    priority: int | None = None,
) -> JobId:
    """Queue a job in the caller's transaction, reserve its usage and return its id.

    Dispatchers hear of the job at commit. Raises LimitExceeded; the transaction must not be committed then.
    """
    job_id = new_job_id()
    await statements.insert_job(
        connection,
        organization_id=organization_id,
        job_id=job_id,
        kind=kind.name,
        subject_id=SubjectId(subject_id),
        payload=dict(payload or {}),
        priority=kind.priority if priority is None else priority,
        maximum_attempts=kind.maximum_attempts,
        trace_context=context_to_send(),
    )
    if kind.usage is not None:
        await kind.usage.reserve(connection, organization_id, job_id)
    return job_id


async def request_cancel(
    connection: Connection, kind: AnyKind, *, organization_id: OrganizationId, subject_id: str
) -> bool:
    """Cancel the open job that works for ``subject_id`` and return whether there was one.

    The subject shows it at once, and a queued job ends at once. A running job is told at commit and ends
    when its worker has let go of it; a result that arrives in between is dropped.
    """
    async with connection.transaction():
        rows = await statements.request_cancel(
            connection, organization_id=organization_id, subject_id=SubjectId(subject_id), kind=kind.name
        )
        for row in rows:
            if row.state == "queued":
                await outcomes.cancel_queued(connection, kind, organization_id, row.id)
            if kind.cancel is not None:
                await kind.cancel(connection, organization_id, SubjectId(subject_id))
    return bool(rows)


async def ended_job(
    connection: Connection, organization_id: OrganizationId, job_id: JobId
) -> EndedJob | None:
    """Return how the job ended; None while it is open, and for a job that the organization does not have."""
    row = await statements.get_ended_job(connection, organization_id=organization_id, job_id=job_id)
    return None if row is None else EndedJob(row.state, row.error_class, row.error_message)
