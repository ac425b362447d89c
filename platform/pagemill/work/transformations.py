"""Jobs that transform datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from db.documents import DuplicateRow, list_duplicates, lock_contents
from db.pool import Pool, acquire
from db.statements import Connection
from db.transformations import end_transformation, find_transformation_work, reopen_transformation
from pagemill.concurrency import finish_despite_cancellation
from pagemill.documents.deletion import delete_document_objects, delete_documents
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import DatasetId, DocumentId, OrganizationId, SubjectId, TransformationId
from pagemill.jobs.job import BATCH, Job, KindName
from pagemill.jobs.kind import Finished, JobKind
from pagemill.jobs.leases import hold
from pagemill.objects import ObjectStore
from pagemill.work.resources import WorkResources

SEARCH_BATCH_SIZE = 10_000
REMOVAL_BATCH_SIZE = 200


class TransformationRunner:
    """Runner of transformation jobs. Cancelled, it finishes the batch that it has begun and no other.

    Each batch is a transaction that holds the job's attempt, and finds out anew what is left to do: a job
    that is tried again goes on where the attempt before it stood.
    """

    def __init__(self, pool: Pool, objects: ObjectStore) -> None:
        self._pool, self._objects = pool, objects

    async def __call__(self, job: Job) -> None:
        """Transform. Raises NotFound when the transformation is gone, JobCancelled, BadRequest."""
        async with acquire(self._pool) as connection:
            work = await find_transformation_work(
                connection,
                organization_id=job.organization_id,
                transformation_id=TransformationId(job.subject_id),
            )
        if work is None:
            raise NotFound("The transformation does not exist any more")
        for operation in work.operations:
            if operation["type"] != "remove-duplicates":
                raise BadRequest(f"operations: {operation['type']} is not known")
            await self._remove_duplicates(job, work.dataset_id)

    async def _remove_duplicates(self, job: Job, dataset_id: DatasetId) -> None:
        """Delete all documents with the same content but the oldest."""
        while duplicates := await self._duplicates(job, dataset_id):
            for batch in _batches(duplicates):
                await finish_despite_cancellation(self._delete_batch(job, dataset_id, batch))

    async def _duplicates(self, job: Job, dataset_id: DatasetId) -> list[DuplicateRow]:
        async with acquire(self._pool) as connection:
            return await list_duplicates(
                connection,
                organization_id=job.organization_id,
                dataset_id=dataset_id,
                limit=SEARCH_BATCH_SIZE,
            )

    async def _delete_batch(
        self, job: Job, dataset_id: DatasetId, duplicates: Sequence[DuplicateRow]
    ) -> None:
        async with acquire(self._pool) as connection, connection.transaction():
            await hold(connection, job)
            chosen = await _lock_duplicates(connection, job.organization_id, dataset_id, duplicates)
            deleted = await delete_documents(
                connection, job.organization_id, chosen, dataset_ids=[dataset_id]
            )
        await delete_document_objects(self._objects, job.organization_id, deleted)


async def _lock_duplicates(
    connection: Connection,
    organization_id: OrganizationId,
    dataset_id: DatasetId,
    duplicates: Sequence[DuplicateRow],
) -> list[DocumentId]:
    """Lock documents and return the duplicates that still are: uploads and deletions go on meanwhile."""
    involved = {document_id for one in duplicates for document_id in (one.id, one.kept_id)}
    rows = await lock_contents(
        connection,
        organization_id=organization_id,
        dataset_id=dataset_id,
        document_ids=sorted(involved),
    )
    contents = {row.id: row.content_md5 for row in rows if row.content_md5 is not None}
    return [
        one.id for one in duplicates if one.id in contents and contents[one.id] == contents.get(one.kept_id)
    ]


def _batches(duplicates: Sequence[DuplicateRow]) -> Iterator[Sequence[DuplicateRow]]:
    for begin in range(0, len(duplicates), REMOVAL_BATCH_SIZE):
        yield duplicates[begin : begin + REMOVAL_BATCH_SIZE]


async def _succeed(connection: Connection, finished: Sequence[Finished[None]]) -> None:
    for job, _ in finished:
        await end_transformation(
            connection,
            organization_id=job.organization_id,
            transformation_id=TransformationId(job.subject_id),
            status="succeeded",
        )


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, _message: str
) -> None:
    await _cancel(connection, organization_id, subject_id)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    await end_transformation(
        connection,
        organization_id=organization_id,
        transformation_id=TransformationId(subject_id),
        status="failed",
    )


async def _reopen(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> bool:
    reopened = await reopen_transformation(
        connection, organization_id=organization_id, transformation_id=TransformationId(subject_id)
    )
    return reopened > 0


TRANSFORMATION: JobKind[WorkResources, None] = JobKind(
    name=KindName("transformation"),
    description="Change the documents of a dataset",
    runner=lambda resources: TransformationRunner(resources.pool, resources.objects),
    concurrency=lambda settings: settings.transformation_concurrency,
    priority=BATCH,
    succeed=_succeed,
    fail=_fail,
    cancel=_cancel,
    reopen=_reopen,
)
