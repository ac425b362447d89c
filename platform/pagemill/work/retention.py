"""Jobs that delete an organization's documents and data bundles when their retention has passed."""

from __future__ import annotations

import logging

from db import retention as statements
from db.pool import Pool, acquire
from db.schedule import list_organizations_with_due
from db.statements import Connection
from pagemill.concurrency import finish_despite_cancellation
from pagemill.documents.deletion import delete_document_objects, delete_documents
from pagemill.ids import DataBundleId
from pagemill.jobs.job import HOUSEKEEPING, Job, KindName
from pagemill.jobs.kind import JobKind, Recurrence
from pagemill.jobs.leases import hold
from pagemill.jobs.queue import request_cancel
from pagemill.objects import ObjectStore
from pagemill.objects.discarding import discard
from pagemill.objects.keys import data_bundle_names
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.resources import WorkResources

REMOVAL_BATCH_SIZE = 200

logger = logging.getLogger(__name__)


class RetentionRunner:
    """Runner of retention jobs. Cancelled, it finishes the batch that it has begun.

    Each batch is a transaction that holds the job's attempt and finds out anew what is due: a job that is
    tried again goes on where the attempt before it stood.
    """

    def __init__(self, pool: Pool, objects: ObjectStore) -> None:
        self._pool, self._objects = pool, objects

    async def __call__(self, job: Job) -> None:
        """Delete the documents and data bundles that are due. Raises JobCancelled."""
        documents = data_bundles = 0
        while gone := await finish_despite_cancellation(self._delete_documents(job)):
            documents += gone
        while gone := await finish_despite_cancellation(self._delete_data_bundles(job)):
            data_bundles += gone
        if documents or data_bundles:
            logger.info(
                "%s: removed %d documents and %d data bundles that were due",
                *(job.organization_id, documents, data_bundles),
            )

    async def _delete_documents(self, job: Job) -> int:
        async with acquire(self._pool) as connection, connection.transaction():
            await hold(connection, job)
            due = await statements.lock_due_documents(
                connection, organization_id=job.organization_id, limit=REMOVAL_BATCH_SIZE
            )
            deleted = await delete_documents(connection, job.organization_id, due)
        await delete_document_objects(self._objects, job.organization_id, deleted)
        return len(deleted)

    async def _delete_data_bundles(self, job: Job) -> int:
        async with acquire(self._pool) as connection:
            due = await statements.list_due_data_bundles(
                connection, organization_id=job.organization_id, limit=REMOVAL_BATCH_SIZE
            )
            deleted = [one for one in due if await _delete_data_bundle(connection, job, one)]
        await discard(
            self._objects,
            keys=[name for one in deleted for name in data_bundle_names(job.organization_id, one)],
        )
        return len(deleted)


class _NotDue(Exception):
    """Error that rolls the transaction back: the bundle has more time, or does not exist any more."""


async def _delete_data_bundle(connection: Connection, job: Job, data_bundle_id: DataBundleId) -> bool:
    try:
        async with connection.transaction():
            await hold(connection, job)
            # The job before the bundle, as its worker locks them: the other way round would deadlock.
            await request_cancel(
                connection, DATA_BUNDLE, organization_id=job.organization_id, subject_id=data_bundle_id
            )
            deleted = await statements.delete_due_data_bundle(
                connection, organization_id=job.organization_id, data_bundle_id=data_bundle_id
            )
            if not deleted:
                raise _NotDue
    except _NotDue:
        return False
    return True


RETENTION: JobKind[WorkResources, None] = JobKind(
    name=KindName("retention"),
    description="Remove documents and data bundles when their time is over",
    runner=lambda resources: RetentionRunner(resources.pool, resources.objects),
    concurrency=lambda _settings: 1,
    priority=HOUSEKEEPING,
    recurrence=Recurrence(
        interval=lambda settings: settings.retention_interval, organizations=list_organizations_with_due
    ),
)
