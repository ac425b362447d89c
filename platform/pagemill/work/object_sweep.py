"""Jobs that remove objects without a row, and deleted documents from data bundles, once a day."""

from __future__ import annotations

import logging

from db.pool import Pool, acquire
from db.schedule import list_all_organizations
from pagemill.housekeeping.bundle_erasure import erase_deleted_documents
from pagemill.housekeeping.orphaned_objects import ObjectSweep, SweepReport
from pagemill.jobs.job import HOUSEKEEPING, Job, JobFailed, KindName
from pagemill.jobs.kind import JobKind, Recurrence
from pagemill.objects import ObjectStore
from pagemill.work.resources import WorkResources

UNSUSPICIOUS_ORPHANS = 100
SUSPICIOUS_SHARE = 0.5
LOGGED_AT_MOST = 20

logger = logging.getLogger(__name__)


class ObjectSweepRunner:
    """Runner of sweep jobs: it looks first, and removes only what is a small part of the whole.

    A storage in which most objects have no row is more likely beside the wrong database, or beside one that
    was restored from a backup: then the operator decides.
    """

    def __init__(self, pool: Pool, objects: ObjectStore, *, grace: float) -> None:
        self._pool, self._objects, self._grace = pool, objects, grace

    async def __call__(self, job: Job) -> None:
        """Sweep one organization. Raises JobFailed when too many objects have no row, Unavailable."""
        found = await self._sweep(job, delete=False)
        _log_missing(found)
        if is_suspicious(found):
            raise JobFailed(
                f"{found.orphans} of {found.objects} objects have no row, so nothing was removed: look with "
                f"`pagemill objects sweep --organization {job.organization_id}`, add --delete if they may go"
            )
        if found.orphans:
            removed = await self._sweep(job, delete=True)
            logger.info("%s: removed %d objects without a row", job.organization_id, removed.removed)
        await erase_deleted_documents(lambda: acquire(self._pool), self._objects, job.organization_id)

    async def _sweep(self, job: Job, *, delete: bool) -> SweepReport:
        sweep = ObjectSweep(
            lambda: acquire(self._pool), self._objects, job.organization_id, grace=self._grace, delete=delete
        )
        return await sweep.run()


def is_suspicious(report: SweepReport) -> bool:
    """Return whether more objects are without a row than crashes leave behind."""
    return report.orphans > UNSUSPICIOUS_ORPHANS and report.orphans > SUSPICIOUS_SHARE * report.objects


def _log_missing(report: SweepReport) -> None:
    if report.missing:
        logger.error("%s: %d rows miss their object", report.organization_id, report.missing)
    for missing in report.missing_objects[:LOGGED_AT_MOST]:
        logger.error("%s: %s is missing", missing.id, missing.key)


OBJECT_SWEEP: JobKind[WorkResources, None] = JobKind(
    name=KindName("object-sweep"),
    description="Remove stored objects that no row names, and deleted documents from data bundles",
    runner=lambda resources: ObjectSweepRunner(
        resources.pool, resources.objects, grace=resources.settings.object_grace
    ),
    concurrency=lambda _settings: 1,
    priority=HOUSEKEEPING,
    recurrence=Recurrence(
        interval=lambda settings: settings.object_sweep_interval, organizations=list_all_organizations
    ),
)
