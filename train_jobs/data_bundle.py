"""Data bundles: a Ray task reads the documents of the datasets and writes the snapshot and its summary."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray import serve

from db.data_bundles import DataBundleInputRow, get_data_bundle_input
from db.documents import DOCUMENTS_TO_BUNDLE
from db.pool import connect
from pagemill.applications.calling import answer_of
from pagemill.applications.requests import READING, first_pages_request, read_options
from pagemill.concurrency import gather_or_cancel
from pagemill.errors import DocumentUnreadable, NotFound
from pagemill.extraction.summary import SummaryDocument, summarise
from pagemill.extraction.types import ReadOptions
from pagemill.ids import DataBundleId, OrganizationId
from pagemill.jobs.job import Job
from pagemill.objects import open_objects
from pagemill.objects.keys import data_bundle_key
from pagemill.settings import Settings, load_settings
from pagemill.work.data_bundles import DataBundleResult
from train_jobs.snapshot import BundledDocument, Snapshot, encode

READING_SECONDS = 3600.0
"""A document waits for its turn behind others; the reader bounds the document itself."""
DOCUMENT_ERROR = "DE001"


class DataBundleRunner:
    """Runs one data bundle job. Cancelled, it ends the task."""

    async def __call__(self, job: Job) -> DataBundleResult:
        """Documents that cannot be read are told in the summary; only the platform's troubles are errors."""
        task = bundle_documents.remote(job)
        try:
            return await answer_of(task, seconds=None, who="Bundling", alone=True)
        except asyncio.CancelledError:
            ray.cancel(task, force=True)
            raise


# A process for each call: the routers of Serve handles live in the event loop of the first.
@ray.remote(num_cpus=0, max_retries=0, max_calls=1)  # type: ignore[untyped-decorator]
def bundle_documents(job: Job) -> DataBundleResult:
    """The whole job, in a process of its own: it holds no CPU while the reading application works."""
    settings = load_settings(os.environ)
    return asyncio.run(DataBundling(settings, serve.get_app_handle(READING)).run(job))


class DataBundling:
    """Reads documents through the reading application, a few at a time, so that others get their turn."""

    def __init__(self, settings: Settings, reading_handle: Any) -> None:
        self._settings, self._reading = settings, reading_handle
        self._turns = asyncio.Semaphore(settings.reading_replicas_max + 1)

    async def run(self, job: Job) -> DataBundleResult:
        """Raises NotFound when the bundle or its model is gone, Unavailable."""
        work, rows = await self._work(job)
        options = read_options(work.preprocess_config)
        problems = await self._read_all(rows, options)
        snapshot = Snapshot(
            options,
            [
                BundledDocument(row["id"], row["content_key"], row["ground_truth"])
                for row in rows
                if row["id"] not in problems
            ],
        )
        object_key = data_bundle_key(job.organization_id, job.subject_id)
        objects = open_objects(self._settings)
        try:
            await objects.put(object_key, encode(snapshot))
        finally:
            await objects.close()
        return DataBundleResult(summary=_summary(rows, work.field_config, problems), object_key=object_key)

    async def _work(self, job: Job) -> tuple[DataBundleInputRow, Sequence[Mapping[str, Any]]]:
        connection = await connect(self._settings.database_url, application_name="pagemill data bundle")
        try:
            work = await get_data_bundle_input(
                connection,
                organization_id=OrganizationId(job.organization_id),
                data_bundle_id=DataBundleId(job.subject_id),
            )
            if work is None:
                raise NotFound("The data bundle does not exist any more")
            dataset_ids = [dataset["datasetId"] for dataset in work.datasets]
            return work, await DOCUMENTS_TO_BUNDLE.fetch(connection, job.organization_id, dataset_ids)
        finally:
            await connection.close()

    async def _read_all(self, rows: Sequence[Mapping[str, Any]], options: ReadOptions) -> dict[str, str]:
        """Why documents cannot be read, by their ids."""
        found = await gather_or_cancel(self._problem(row["content_key"], options) for row in rows)
        return {row["id"]: problem for row, problem in zip(rows, found, strict=True) if problem is not None}

    async def _problem(self, content_key: str | None, options: ReadOptions) -> str | None:
        if content_key is None:
            return "The document has no content"
        request = first_pages_request(content_key, options, self._settings.training_pages_per_document)
        async with self._turns:
            try:
                await answer_of(self._reading.read.remote(request), seconds=READING_SECONDS, who="Reading")
            except (DocumentUnreadable, NotFound) as error:
                return error.message
        return None


def _summary(
    rows: Sequence[Mapping[str, Any]], field_config: Mapping[str, Any], problems: Mapping[str, str]
) -> dict[str, Any]:
    documents = [SummaryDocument(row["id"], row["content_md5"], row["ground_truth"]) for row in rows]
    summary = summarise(documents, dict(field_config))
    errors = [
        {"documentId": document_id, "code": DOCUMENT_ERROR, "message": problem}
        for document_id, problem in problems.items()
    ]
    return {**summary, "errors": [*summary.get("errors", []), *errors]}
