"""Jobs that mail the owners of an organization that comes close to a limit of its plan."""

from __future__ import annotations

from db.limit_warnings import list_organizations_near_limits, mail_limits
from db.pool import Pool, acquire
from pagemill.jobs.job import HOUSEKEEPING, Job, KindName
from pagemill.jobs.kind import JobKind, Recurrence
from pagemill.jobs.leases import hold
from pagemill.work.resources import WorkResources


class LimitWarningRunner:
    """Runner of limit warning jobs: each threshold is told once a month."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __call__(self, job: Job) -> None:
        """Queue the mail of one organization. Raises JobCancelled."""
        async with acquire(self._pool) as connection, connection.transaction():
            await hold(connection, job)
            await mail_limits(connection, organization_id=job.organization_id)


LIMIT_WARNINGS: JobKind[WorkResources, None] = JobKind(
    name=KindName("limit-warnings"),
    description="Warn owners by mail when a limit of their plan comes close",
    runner=lambda resources: LimitWarningRunner(resources.pool),
    concurrency=lambda _settings: 1,
    priority=HOUSEKEEPING,
    recurrence=Recurrence(
        interval=lambda settings: settings.limit_warning_interval,
        organizations=list_organizations_near_limits,
    ),
)
