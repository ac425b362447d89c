"""Jobs that store an organization's statement of the last month, under the plan that it ended with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from db.month_statements import list_organizations_without_statement
from db.pool import Pool, acquire
from pagemill.jobs.job import HOUSEKEEPING, Job, KindName
from pagemill.jobs.kind import JobKind, Recurrence
from pagemill.usage.meters import month_before
from pagemill.usage.month_statements import store_month_statement
from pagemill.work.resources import WorkResources

SETTLING = timedelta(days=1)
"""Reservations of a month may be settled a little after its end."""


class MonthStatementRunner:
    """Runner of jobs that store a statement, unless there is one."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __call__(self, job: Job) -> None:
        """Store the statement. Raises NotFound when the organization is gone."""
        month = month_before(datetime.now(UTC) - SETTLING)
        async with acquire(self._pool) as connection:
            await store_month_statement(connection, job.organization_id, month)


MONTH_STATEMENT: JobKind[WorkResources, None] = JobKind(
    name=KindName("month-statement"),
    description="Keep the usage of the month that has ended",
    runner=lambda resources: MonthStatementRunner(resources.pool),
    concurrency=lambda _settings: 1,
    priority=HOUSEKEEPING,
    recurrence=Recurrence(
        interval=lambda settings: settings.month_statement_interval,
        organizations=list_organizations_without_statement,
    ),
)
