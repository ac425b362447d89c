"""When a month has ended, what it came to is written down, under the plan that it ended with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from db.month_statements import INSERT_MONTH_STATEMENT
from db.pool import acquire
from pagemill.jobs.job import Job
from pagemill.jobs.outcomes import Done
from pagemill.usage.meters import month_before
from pagemill.usage.plan_administration import compute_statement

SETTLING = timedelta(days=1)
"""What was reserved in a month may be settled a little after it."""


class MonthStatementRunner:
    """Writes one organization's statement of the month before; the first one that is written stays."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def __call__(self, job: Job) -> Done:
        """Raises NotFound when the organization is gone."""
        month = month_before(datetime.now(UTC) - SETTLING)
        async with acquire(self._pool) as connection:
            statement = await compute_statement(connection, job.organization_id, month)
            await INSERT_MONTH_STATEMENT.execute(
                connection, job.organization_id, month, msgspec.to_builtins(statement)
            )
        return Done()
