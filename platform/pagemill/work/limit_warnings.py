"""Warnings to the owners of an organization that comes close to a limit of its plan."""

from __future__ import annotations

import asyncpg

from db.jobs import HOLD
from db.limit_warnings import MAIL_LIMITS
from db.pool import acquire
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.outcomes import Done


class LimitWarningRunner:
    """Tells one organization's owners of what they were not told this month, once."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def __call__(self, job: Job) -> Done:
        """Raises JobCancelled when the job is another's."""
        async with acquire(self._pool) as connection, connection.transaction():
            if await HOLD.fetch_value(connection, job.organization_id, job.id, job.attempt) is None:
                raise JobCancelled("The job was cancelled")
            await MAIL_LIMITS.fetch_value(connection, job.organization_id)
        return Done()
