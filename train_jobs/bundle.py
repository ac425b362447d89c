"""Data bundles: a Ray task reads the documents of datasets, and writes their snapshot and its summary."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from db.data_bundles import DataBundleInputRow, get_data_bundle_input
from db.documents import BundledDocumentRow, list_documents_to_bundle
from db.pool import connect
from pagemill.applications.calling import answer_of
from pagemill.applications.clients import ReadingApplication, ReadingClient, parts_at_once, read_all_parts
from pagemill.applications.requests import first_pages_request, read_options
from pagemill.concurrency import gather_or_cancel
from pagemill.errors import DocumentUnreadable, NotFound
from pagemill.extraction.summary import SummaryDocument, summarise
from pagemill.extraction.types import ReadOptions
from pagemill.ids import DataBundleId, DatasetId
from pagemill.jobs.job import Job
from pagemill.objects import open_objects
from pagemill.objects.keys import data_bundle_key
from pagemill.pools import job_driver
from pagemill.settings import Settings, load_settings
from pagemill.work.data_bundles import DataBundleResult
from train_jobs.snapshots import Snapshot, SnapshotDocument, encode

READING_SECONDS = 3600.0
"""A part waits for its turn behind others; the reader itself limits the time of a part."""
DOCUMENT_ERROR = "DE001"


class DataBundleRunner:
    """Runner of data bundle jobs. When it is cancelled, it ends the task."""

    def __init__(self, settings: Settings) -> None:
        self._task = bundle_documents.options(**job_driver(settings).actor_options)

    async def __call__(self, job: Job) -> DataBundleResult:
        """Return the result. Raises NotFound when the bundle is gone, Unavailable, WorkerLost."""
        task = self._task.remote(job)
        try:
            return await answer_of(task, seconds=None, who="Bundling", alone=True)
        except asyncio.CancelledError:
            ray.cancel(task, force=True)
            raise


# Each call has a process: the routers of Serve handles live in the event loop of the first call.
@ray.remote(max_retries=0, max_calls=1)
def bundle_documents(job: Job) -> DataBundleResult:
    """Run a data bundle job as a Ray task."""
    settings = load_settings(os.environ)
    return asyncio.run(bundle(settings, job, ReadingApplication.find(seconds=READING_SECONDS)))


async def bundle(settings: Settings, job: Job, reading: ReadingClient) -> DataBundleResult:
    """Read the documents, write the snapshot of those that can be read, and summarize all.

    Raises NotFound when the bundle or its model is gone, Unavailable.
    """
    bundle_input, documents = await _load(settings, job)
    options = read_options(bundle_input.preprocess_config)
    unreadable = await _Reader(settings, reading, options).read_all(documents)
    snapshot = Snapshot(
        options,
        [
            SnapshotDocument(document.id, document.content_key, document.ground_truth)
            for document in documents
            if document.content_key is not None and document.id not in unreadable
        ],
    )
    object_key = data_bundle_key(job.organization_id, DataBundleId(job.subject_id))
    objects = open_objects(settings)
    try:
        await objects.put(object_key, encode(snapshot))
    finally:
        await objects.close()
    summary = _summarize(documents, bundle_input.field_config, unreadable)
    return DataBundleResult(summary=summary, object_key=object_key)


async def _load(settings: Settings, job: Job) -> tuple[DataBundleInputRow, list[BundledDocumentRow]]:
    connection = await connect(settings.database_url, application_name="pagemill data bundle")
    try:
        bundle_input = await get_data_bundle_input(
            connection, organization_id=job.organization_id, data_bundle_id=DataBundleId(job.subject_id)
        )
        if bundle_input is None:
            raise NotFound("The data bundle does not exist any more")
        dataset_ids = [DatasetId(dataset["datasetId"]) for dataset in bundle_input.datasets]
        documents = await list_documents_to_bundle(
            connection, organization_id=job.organization_id, dataset_ids=dataset_ids
        )
    finally:
        await connection.close()
    return bundle_input, documents


class _Reader:
    """Reader of a bundle's documents, a few parts at a time, so that other requests get their turn."""

    def __init__(self, settings: Settings, reading: ReadingClient, options: ReadOptions) -> None:
        self._reading, self._options = reading, options
        self._maximum_pages = settings.training_pages_per_document
        self._turns = asyncio.Semaphore(parts_at_once(settings))

    async def read_all(self, documents: Sequence[BundledDocumentRow]) -> dict[str, str]:
        """Return why documents cannot be read, by their ids. Raises Unavailable."""
        problems = await gather_or_cancel(self._problem(document.content_key) for document in documents)
        return {
            document.id: problem
            for document, problem in zip(documents, problems, strict=True)
            if problem is not None
        }

    async def _problem(self, content_key: str | None) -> str | None:
        if content_key is None:
            return "The document has no content"
        request = first_pages_request(content_key, self._options, self._maximum_pages)
        try:
            await read_all_parts(self._reading, request, self._turns)
        except (DocumentUnreadable, NotFound) as error:
            return error.message
        return None


def _summarize(
    documents: Sequence[BundledDocumentRow], field_config: Mapping[str, Any], unreadable: Mapping[str, str]
) -> dict[str, Any]:
    """Return the summary of the labels, with an error for each document that cannot be read."""
    labelled = [
        SummaryDocument(document.id, document.content_md5, document.ground_truth) for document in documents
    ]
    summary = summarise(labelled, dict(field_config))
    errors = [
        {"documentId": document_id, "code": DOCUMENT_ERROR, "message": problem}
        for document_id, problem in unreadable.items()
    ]
    return {**summary, "errors": [*summary.get("errors", []), *errors]}
