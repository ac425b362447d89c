"""Data bundles: a Ray task has the documents of datasets read, and writes their data set and its summary."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import ray

from db.data_bundles import DataBundleInputRow, get_data_bundle_input
from db.documents import BundledDocumentRow, list_documents_to_bundle
from db.pool import connect
from pagemill.applications.calling import answer_of
from pagemill.applications.requests import read_options
from pagemill.background import stay_in_background
from pagemill.documents.bundle_contents import BundleContents, save_contents
from pagemill.errors import NotFound, Unavailable
from pagemill.extraction.summary import SummaryDocument, summarise
from pagemill.ids import DataBundleId, DatasetId, OrganizationId
from pagemill.jobs.job import Job
from pagemill.jobs.job_spans import within_active_trace
from pagemill.objects import open_objects
from pagemill.objects.keys import new_data_bundle_key
from pagemill.pools import job_driver
from pagemill.settings import Settings, load_settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.tracing.spans import continue_trace, span
from pagemill.work.data_bundles import DataBundleResult
from train_jobs.bundle_blocks import BlockDocument, BlockOutcome, DocumentBlock, blocks_of
from train_jobs.bundle_progress import BundleProgress

DOCUMENT_ERROR = "DE001"
PIPELINE = "train_jobs.bundle_pipeline"
"""Module that imports Ray Data."""

BlockMaker: TypeAlias = Callable[[Settings, Job, Sequence[DocumentBlock]], AsyncGenerator[BlockOutcome, None]]
"""Maker of blocks, which yields their outcomes as they end."""


class DataBundleRunner:
    """Runner of data bundle jobs. When it is cancelled, it ends the task."""

    def __init__(self, settings: Settings) -> None:
        self._placement = job_driver(settings)

    async def __call__(self, job: Job) -> DataBundleResult:
        """Return the result.

        Raises NotFound when the bundle is gone, JobCancelled, Unavailable, WorkerLost.
        """
        # Ray's dashboard shows the name.
        name = f"bundle_documents({job.subject_id})"
        task = bundle_documents.options(name=name, **self._placement.actor_options).remote(
            within_active_trace(job)
        )
        try:
            return await answer_of(task, seconds=None, who="Bundling", alone=True)
        except asyncio.CancelledError:
            ray.cancel(task, force=True)
            raise


# Each call has a process: nothing of a bundle stays in the next one.
@ray.remote(max_retries=0, max_calls=1)
def bundle_documents(job: Job) -> DataBundleResult:
    """Run a data bundle job as a Ray task, in the background: predictions go before bundles."""
    stay_in_background()
    # Importing Ray Data takes a second, as does the work before it is needed.
    threading.Thread(target=_import_pipeline, daemon=True).start()
    settings = load_settings(os.environ)
    configure_tracing(settings, "data-bundle")
    try:
        with continue_trace(job.trace_context, "bundle documents"):
            return asyncio.run(bundle(settings, job, _on_ray_data))
    finally:
        close_tracing()


def _import_pipeline() -> None:
    importlib.import_module(PIPELINE)


async def _on_ray_data(
    settings: Settings, job: Job, blocks: Sequence[DocumentBlock]
) -> AsyncGenerator[BlockOutcome, None]:
    pipeline = await asyncio.to_thread(importlib.import_module, PIPELINE)
    async with contextlib.aclosing(pipeline.bundle_on_ray_data(settings, job.subject_id, blocks)) as outcomes:
        async for outcome in outcomes:
            yield outcome


async def bundle(settings: Settings, job: Job, make: BlockMaker) -> DataBundleResult:
    """Read the documents, write the data set of those that can be read, and summarize all.

    Raises NotFound when the bundle or its model is gone, JobCancelled, Unavailable.
    """
    with span("list documents"):
        bundle_input, documents = await _load(settings, job)
    object_key = new_data_bundle_key(job.organization_id, DataBundleId(job.subject_id))
    blocks = blocks_of(
        [BlockDocument(document.id, document.content_key, document.ground_truth) for document in documents],
        object_key,
        read_options(bundle_input.preprocess_config),
    )
    progress = BundleProgress(settings.database_url, job, documents=len(documents))
    await progress.write()
    with span("read documents"):
        outcomes = await _make_all(make(settings, job, blocks), progress)
    with span("summarise"):
        await _save_contents(settings, object_key, outcomes)
        unreadable = {name: problem for outcome in outcomes for name, problem in outcome.problems.items()}
        summary = _summarize(job.organization_id, documents, bundle_input.field_config, unreadable)
    return DataBundleResult(summary=summary, object_key=object_key)


async def _make_all(
    blocks: AsyncGenerator[BlockOutcome, None], progress: BundleProgress
) -> list[BlockOutcome]:
    """Return the outcomes of all blocks, in their order. Raises Unavailable."""
    outcomes: list[BlockOutcome] = []
    async with contextlib.aclosing(blocks) as ended:
        async for outcome in ended:
            if outcome.unavailable is not None:
                raise Unavailable("The documents cannot be read now", detail=outcome.unavailable)
            outcomes.append(outcome)
            await progress.advance(outcome.documents)
    return sorted(outcomes, key=lambda outcome: outcome.number)


async def _save_contents(settings: Settings, object_key: str, outcomes: Sequence[BlockOutcome]) -> None:
    objects = open_objects(settings)
    try:
        files = [file for outcome in outcomes for file in outcome.files]
        await save_contents(objects, object_key, BundleContents(files))
    finally:
        await objects.close()


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
            connection,
            organization_id=job.organization_id,
            owner_ids=bundle_input.owner_ids,
            dataset_ids=dataset_ids,
        )
    finally:
        await connection.close()
    return bundle_input, documents


def _summarize(
    organization_id: OrganizationId,
    documents: Sequence[BundledDocumentRow],
    field_config: Mapping[str, Any],
    unreadable: Mapping[str, str],
) -> dict[str, Any]:
    """Return the summary of the labels, with an error for each document that cannot be read."""
    labelled = [
        SummaryDocument(
            document.id,
            document.content_md5,
            document.ground_truth,
            foreign=document.organization_id != organization_id,
        )
        for document in documents
    ]
    summary = summarise(labelled, dict(field_config))
    errors = [
        {"documentId": document_id, "code": DOCUMENT_ERROR, "message": problem}
        for document_id, problem in unreadable.items()
    ]
    return {**summary, "errors": [*summary.get("errors", []), *errors]}
