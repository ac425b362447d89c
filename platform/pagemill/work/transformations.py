"""Jobs that transform datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import asyncpg

from db.documents import COPIES_IN_DATASET, LOCK_CONTENTS
from db.pool import acquire
from db.statements import Connection
from db.transformations import END_TRANSFORMATION, REOPEN_TRANSFORMATION, TRANSFORMATION_WORK
from pagemill.concurrency import finish_despite_cancellation
from pagemill.documents.removal import remove_documents, remove_objects
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import OrganizationId, SubjectId
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

    def __init__(self, pool: asyncpg.Pool, objects: ObjectStore) -> None:
        self._pool, self._objects = pool, objects

    async def __call__(self, job: Job) -> None:
        """Transform. Raises NotFound when the transformation is gone, JobCancelled, BadRequest."""
        async with acquire(self._pool) as connection:
            work = await TRANSFORMATION_WORK.fetch_one(connection, job.organization_id, job.subject_id)
        if work is None:
            raise NotFound("The transformation does not exist any more")
        for operation in work["operations"]:
            if operation["type"] != "remove-duplicates":
                raise BadRequest(f"operations: {operation['type']} is not known")
            await self._remove_duplicates(job, work["dataset_id"])

    async def _remove_duplicates(self, job: Job, dataset_id: str) -> None:
        """Remove all documents with the same content but the oldest."""
        while copies := await self._copies(job, dataset_id):
            for some in _batches(copies):
                await finish_despite_cancellation(self._remove_batch(job, dataset_id, some))

    async def _copies(self, job: Job, dataset_id: str) -> list[tuple[str, str]]:
        async with acquire(self._pool) as connection:
            rows = await COPIES_IN_DATASET.fetch(
                connection, job.organization_id, dataset_id, SEARCH_BATCH_SIZE
            )
        return [(row["id"], row["kept_id"]) for row in rows]

    async def _remove_batch(self, job: Job, dataset_id: str, copies: Sequence[tuple[str, str]]) -> None:
        organization_id = job.organization_id
        async with acquire(self._pool) as connection, connection.transaction():
            await hold(connection, job)
            involved = sorted({document_id for pair in copies for document_id in pair})
            rows = await LOCK_CONTENTS.fetch(connection, organization_id, dataset_id, involved)
            contents = {row["id"]: row["content_md5"] for row in rows}
            chosen = [copy for copy, kept in copies if _is_copy(contents, copy, kept)]
            gone = await remove_documents(connection, organization_id, chosen, dataset_ids=[dataset_id])
        await remove_objects(self._objects, organization_id, gone)


def _is_copy(contents: Mapping[str, str | None], copy: str, kept: str) -> bool:
    """Return whether both still exist with the same content: uploads and deletions go on meanwhile."""
    return contents.get(copy) is not None and contents[copy] == contents.get(kept)


def _batches(copies: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    for begin in range(0, len(copies), REMOVAL_BATCH_SIZE):
        yield copies[begin : begin + REMOVAL_BATCH_SIZE]


async def _succeed(connection: Connection, finished: Sequence[Finished[None]]) -> None:
    for job, _ in finished:
        await END_TRANSFORMATION.execute(connection, job.organization_id, job.subject_id, "succeeded")


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, _message: str
) -> None:
    await _cancel(connection, organization_id, subject_id)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    await END_TRANSFORMATION.execute(connection, organization_id, subject_id, "failed")


async def _reopen(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> bool:
    return await REOPEN_TRANSFORMATION.fetch_one(connection, organization_id, subject_id) is not None


TRANSFORMATION: JobKind[WorkResources, None] = JobKind(
    name=KindName("transformation"),
    description="Change the documents of a dataset",
    runner=lambda resources: TransformationRunner(resources.pool, resources.objects),
    concurrency=lambda settings: settings.transformations_at_once,
    priority=BATCH,
    succeed=_succeed,
    fail=_fail,
    cancel=_cancel,
    reopen=_reopen,
)
