"""Statements of ended months: each is stored once, under the plan that the month ended with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from db.pool import Pool, acquire
from pagemill.ids import OrganizationId
from pagemill.jobs.job import Job
from pagemill.jobs.outcomes import Done
from pagemill.usage.meters import month_before
from pagemill.usage.month_statements import store_month_statement

SETTLING = timedelta(days=1)
"""Reservations of a month may be settled a little after its end."""


class MonthStatementRunner:
    """Runner of jobs that store an organization's statement of the last month."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __call__(self, job: Job) -> Done:
        """Store the statement, unless there is one. Raises NotFound when the organization is gone."""
        month = month_before(datetime.now(UTC) - SETTLING)
        async with acquire(self._pool) as connection:
            await store_month_statement(connection, OrganizationId(job.organization_id), month)
        return Done()
