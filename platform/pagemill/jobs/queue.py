"""What the API does with jobs: queue one, ask for its end, look how it ended."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from db import jobs as statements
from db.statements import Connection
from pagemill.jobs import outcomes
from pagemill.jobs.job import EndedJob, JobKind

MAXIMUM_ATTEMPTS = 5


async def enqueue(
    connection: Connection,
    *,
    kind: JobKind,
    organization_id: str,
    subject_id: str,
    payload: Mapping[str, Any] | None = None,
    priority: int,
    maximum_attempts: int = MAXIMUM_ATTEMPTS,
) -> str:
    """Queue a job in the caller's transaction and return its id; dispatchers hear of it at commit."""
    job_id = uuid.uuid4().hex
    await statements.INSERT.fetch_value(
        connection, organization_id, job_id, kind, subject_id, dict(payload or {}), priority, maximum_attempts
    )
    return job_id


async def request_cancel(connection: Connection, organization_id: str, subject_id: str) -> bool:
    """Cancel what works, or waits to work, for ``subject_id``. Returns whether there was such a job.

    The subject shows it at once, and a queued job ends at once. A running one is told at commit and ends
    when its worker has let go of it; whatever result comes in between is not taken any more.
    """
    async with connection.transaction():
        rows = await statements.REQUEST_CANCEL.fetch(connection, organization_id, subject_id)
        for row in rows:
            if row["state"] == "queued":
                await outcomes.cancel_queued(connection, organization_id, row["id"])
            await outcomes.write_cancelled(connection, row["kind"], organization_id, subject_id)
    return bool(rows)


async def ended_job(connection: Connection, organization_id: str, job_id: str) -> EndedJob | None:
    """How the job ended; None while it has not, and for a job that the organization does not have."""
    row = await statements.ENDED.fetch_one(connection, organization_id, job_id)
    return None if row is None else EndedJob(row["state"], row["error_class"], row["error_message"])
