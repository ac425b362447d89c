"""The daily sweep of an organization's objects, as a job."""

from __future__ import annotations

import logging

import asyncpg

from pagemill.housekeeping.sweep import ObjectSweep, SweepReport
from pagemill.jobs.job import Job, JobFailed
from pagemill.jobs.outcomes import Done
from pagemill.objects import ObjectStore

UNSUSPICIOUS_ORPHANS = 100
SUSPICIOUS_SHARE = 0.5
LOGGED_AT_MOST = 20

logger = logging.getLogger(__name__)


class ObjectSweepRunner:
    """Runs one organization's sweep job: looks first, and removes only what is a small part of the whole.

    A storage that seems to belong to nobody is more likely beside the wrong database, or beside one that was
    restored from a backup: then the operator decides.
    """

    def __init__(self, pool: asyncpg.Pool, objects: ObjectStore, *, grace: float) -> None:
        self._pool, self._objects, self._grace = pool, objects, grace

    async def __call__(self, job: Job) -> Done:
        """Raises JobFailed when there are suspiciously many orphans, Unavailable."""
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
        return Done()

    async def _sweep(self, job: Job, *, delete: bool) -> SweepReport:
        sweep = ObjectSweep(
            self._pool.acquire, self._objects, job.organization_id, grace=self._grace, delete=delete
        )
        return await sweep.run()


def is_suspicious(report: SweepReport) -> bool:
    """Whether more is without a row than crashes leave behind."""
    return report.orphans > UNSUSPICIOUS_ORPHANS and report.orphans > SUSPICIOUS_SHARE * report.objects


def _log_missing(report: SweepReport) -> None:
    if report.missing:
        logger.error("%s: %d rows miss their object", report.organization_id, report.missing)
    for missing in report.missing_objects[:LOGGED_AT_MOST]:
        logger.error("%s: %s is missing", missing.id, missing.key)
