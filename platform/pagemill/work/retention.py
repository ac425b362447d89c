"""Jobs that remove an organization's documents and data bundles when their time is over."""

from __future__ import annotations

import logging

import asyncpg

from db import retention as statements
from db.pool import acquire
from db.schedule import ORGANIZATIONS_WITH_DUE
from db.statements import Connection
from pagemill.concurrency import finish_despite_cancellation
from pagemill.documents.removal import remove_documents, remove_objects
from pagemill.jobs.job import HOUSEKEEPING, Job, KindName
from pagemill.jobs.kind import JobKind, Recurrence
from pagemill.jobs.leases import hold
from pagemill.jobs.queue import request_cancel
from pagemill.objects import ObjectStore
from pagemill.objects.keys import data_bundle_key
from pagemill.objects.removal import remove
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.resources import WorkResources

REMOVAL_BATCH_SIZE = 200

logger = logging.getLogger(__name__)


class RetentionRunner:
    """Runner of retention jobs. Cancelled, it finishes the batch that it has begun.

    Each batch is a transaction that holds the job's attempt and finds out anew what is due: a job that is
    tried again goes on where the attempt before it stood.
    """

    def __init__(self, pool: asyncpg.Pool, objects: ObjectStore) -> None:
        self._pool, self._objects = pool, objects

    async def __call__(self, job: Job) -> None:
        """Remove what is due. Raises JobCancelled."""
        documents = data_bundles = 0
        while gone := await finish_despite_cancellation(self._remove_documents(job)):
            documents += gone
        while gone := await finish_despite_cancellation(self._remove_data_bundles(job)):
            data_bundles += gone
        if documents or data_bundles:
            logger.info(
                "%s: removed %d documents and %d data bundles that were due",
                *(job.organization_id, documents, data_bundles),
            )

    async def _remove_documents(self, job: Job) -> int:
        async with acquire(self._pool) as connection, connection.transaction():
            await hold(connection, job)
            due = await statements.LOCK_DUE_DOCUMENTS.fetch(
                connection, job.organization_id, REMOVAL_BATCH_SIZE
            )
            gone = await remove_documents(connection, job.organization_id, [row["id"] for row in due])
        await remove_objects(self._objects, job.organization_id, gone)
        return len(gone)

    async def _remove_data_bundles(self, job: Job) -> int:
        async with acquire(self._pool) as connection:
            due = await statements.DUE_DATA_BUNDLES.fetch(connection, job.organization_id, REMOVAL_BATCH_SIZE)
            gone = [row["id"] for row in due if await _remove_data_bundle(connection, job, row["id"])]
        await remove(self._objects, keys=[data_bundle_key(job.organization_id, one) for one in gone])
        return len(gone)


class _NotDue(Exception):
    """The bundle was given more time, or is gone: whatever was done to its job is undone."""


async def _remove_data_bundle(connection: Connection, job: Job, data_bundle_id: str) -> bool:
    try:
        async with connection.transaction():
            await hold(connection, job)
            # The job before the bundle, as its worker locks them: the other way round would deadlock.
            await request_cancel(
                connection, DATA_BUNDLE, organization_id=job.organization_id, subject_id=data_bundle_id
            )
            if not await statements.DELETE_DUE_DATA_BUNDLE.execute(
                connection, job.organization_id, data_bundle_id
            ):
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
        interval=lambda settings: settings.retention_interval, organizations=ORGANIZATIONS_WITH_DUE
    ),
)
