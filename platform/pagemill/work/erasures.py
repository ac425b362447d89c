"""Jobs that erase the values of documents that are gone, wherever they were copied to."""

from __future__ import annotations

import logging

from db.erasures import KIND, MAXIMUM_ATTEMPTS, PRIORITY, list_organizations_with_erasures
from db.pool import Pool, acquire
from pagemill.housekeeping.value_erasure import ValueErasure
from pagemill.jobs.job import Job, KindName
from pagemill.jobs.kind import JobKind, Recurrence
from pagemill.objects import ObjectStore
from pagemill.work.predictions import PREDICTION
from pagemill.work.resources import WorkResources

logger = logging.getLogger(__name__)


class ErasureRunner:
    """Runner of erasure jobs, one pass each. A pass that was broken off is made again from its beginning."""

    def __init__(self, pool: Pool, objects: ObjectStore, *, patience: float) -> None:
        self._pool, self._objects, self._patience = pool, objects, patience

    async def __call__(self, job: Job) -> None:
        """Make a pass through the job's organization. Raises Unavailable."""
        erasure = ValueErasure(
            lambda: acquire(self._pool),
            self._objects,
            job.organization_id,
            prediction=PREDICTION,
            patience=self._patience,
        )
        report = await erasure.run()
        logger.info(
            "%s: erased the values of %d documents: %d executions and %d answers were emptied, %d executions "
            "are still open",
            *(job.organization_id, report.documents, report.executions, report.answers),
            report.open_executions,
        )


ERASURE: JobKind[WorkResources, None] = JobKind(
    name=KindName(KIND),
    description="Erase the values of documents that are gone",
    runner=lambda resources: ErasureRunner(
        resources.pool, resources.objects, patience=resources.settings.erasure_patience
    ),
    concurrency=lambda _settings: 1,
    priority=PRIORITY,
    maximum_attempts=MAXIMUM_ATTEMPTS,
    recurrence=Recurrence(
        interval=lambda settings: settings.erasure_interval, organizations=list_organizations_with_erasures
    ),
)
