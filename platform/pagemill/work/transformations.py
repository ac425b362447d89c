"""Transformations of datasets. They need Postgres and objects only, so they run where jobs are dispatched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import asyncpg

from db.documents import COPIES_IN_DATASET, LOCK_CONTENTS
from db.jobs import HOLD
from db.pool import acquire
from db.transformations import TRANSFORMATION_WORK
from pagemill.concurrency import finish_despite_cancellation
from pagemill.documents.removal import remove_documents, remove_objects
from pagemill.errors import BadRequest, NotFound
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.outcomes import TransformationResult
from pagemill.objects import ObjectStore

FOUND_AT_ONCE = 10_000
REMOVED_AT_ONCE = 200


class TransformationRunner:
    """Runs one transformation job. Cancelled, it finishes the batch that it has begun and no other.

    Each batch is a transaction that holds the job's attempt, and finds out anew what is left to do: a job
    that is tried again goes on where the attempt before it stood.
    """

    def __init__(self, pool: asyncpg.Pool, objects: ObjectStore) -> None:
        self._pool, self._objects = pool, objects

    async def __call__(self, job: Job) -> TransformationResult:
        """Raises NotFound when the transformation is gone, JobCancelled when the job is another's."""
        async with acquire(self._pool) as connection:
            work = await TRANSFORMATION_WORK.fetch_one(connection, job.organization_id, job.subject_id)
        if work is None:
            raise NotFound("The transformation does not exist any more")
        for operation in work["operations"]:
            if operation["type"] != "remove-duplicates":
                raise BadRequest(f"operations: {operation['type']} is not known")
            await self._remove_duplicates(job, work["dataset_id"])
        return TransformationResult()

    async def _remove_duplicates(self, job: Job, dataset_id: str) -> None:
        """Of documents with the same content, keep the oldest."""
        while copies := await self._copies(job, dataset_id):
            for some in _batches(copies):
                await finish_despite_cancellation(self._remove_batch(job, dataset_id, some))

    async def _copies(self, job: Job, dataset_id: str) -> list[tuple[str, str]]:
        async with acquire(self._pool) as connection:
            rows = await COPIES_IN_DATASET.fetch(connection, job.organization_id, dataset_id, FOUND_AT_ONCE)
        return [(row["id"], row["kept_id"]) for row in rows]

    async def _remove_batch(self, job: Job, dataset_id: str, copies: Sequence[tuple[str, str]]) -> None:
        organization_id = job.organization_id
        async with acquire(self._pool) as connection, connection.transaction():
            if await HOLD.fetch_value(connection, organization_id, job.id, job.attempt) is None:
                raise JobCancelled("The transformation was cancelled")
            involved = sorted({document_id for pair in copies for document_id in pair})
            rows = await LOCK_CONTENTS.fetch(connection, organization_id, dataset_id, involved)
            contents = {row["id"]: row["content_md5"] for row in rows}
            chosen = [copy for copy, kept in copies if _is_copy(contents, copy, kept)]
            gone = await remove_documents(connection, organization_id, chosen, dataset_ids=[dataset_id])
        await remove_objects(self._objects, organization_id, gone)


def _is_copy(contents: Mapping[str, str | None], copy: str, kept: str) -> bool:
    """Whether both are there still and have the same content: uploads and deletions go on meanwhile."""
    return contents.get(copy) is not None and contents[copy] == contents.get(kept)


def _batches(copies: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    for begin in range(0, len(copies), REMOVED_AT_ONCE):
        yield copies[begin : begin + REMOVED_AT_ONCE]
