"""Jobs that delete an organization's audit events when they are old, and those of nobody's."""

from __future__ import annotations

from db import audit_events as statements
from db.pool import Pool, acquire
from pagemill.concurrency import finish_despite_cancellation
from pagemill.jobs.job import HOUSEKEEPING, Job, KindName
from pagemill.jobs.kind import JobKind, Recurrence
from pagemill.jobs.leases import hold
from pagemill.work.resources import WorkResources

BATCH = 1000


class AuditRetentionRunner:
    """Runner of jobs that delete events older than ``seconds``, some in each transaction."""

    def __init__(self, pool: Pool, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds

    async def __call__(self, job: Job) -> None:
        """Delete what is old. Raises JobCancelled."""
        while await finish_despite_cancellation(self._delete(job)):
            pass

    async def _delete(self, job: Job) -> bool:
        """Delete a batch; return whether there may be more."""
        async with acquire(self._pool) as connection, connection.transaction():
            await hold(connection, job)
            own = await statements.delete_old_audit_events(
                connection, organization_id=job.organization_id, seconds=self._seconds, limit=BATCH
            )
            nobodys = await statements.delete_old_audit_events_of_nobody(
                connection, seconds=self._seconds, limit=BATCH
            )
        return max(own, nobodys) == BATCH


AUDIT_RETENTION: JobKind[WorkResources, None] = JobKind(
    name=KindName("audit-retention"),
    description="Forget who did what when that is long ago",
    runner=lambda resources: AuditRetentionRunner(resources.pool, resources.settings.audit_retention),
    concurrency=lambda _settings: 1,
    priority=HOUSEKEEPING,
    recurrence=Recurrence(
        interval=lambda settings: settings.audit_retention_interval,
        organizations=statements.list_organizations_with_audit_events,
    ),
)
