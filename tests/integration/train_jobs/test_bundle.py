"""A data bundle reads its documents, keeps those that it can read, and lists the others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pandas
import pytest

from pagemill.errors import DocumentUnreadable, NotFound, Unavailable
from pagemill.extraction.types import Example, ReadOptions
from pagemill.ids import DatasetId, DocumentId, new_id
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.queue import enqueue
from pagemill.objects import ObjectStore
from pagemill.settings import Settings
from pagemill.work.data_bundles import DATA_BUNDLE
from tests.support.bundling import StubReading, in_process, page
from tests.support.seeds import claim_job, seed_data_bundle, seed_model
from tests.support.tenants import Tenant
from train_jobs import bundle_progress
from train_jobs.bundle import bundle
from train_jobs.bundle_blocks import BlockOutcome, DocumentBlock
from train_jobs.bundle_dataset import iterate_examples

MAXIMUM_PAGES = 3
LABELS = [{"label": "total", "value": "1.00"}]


@pytest.fixture
def settings(database_url: str, objects_directory: Path) -> Settings:
    return Settings(
        database_url=database_url,
        objects_url=objects_directory.as_uri(),
        token_key="unused",
        training_pages_per_document=MAXIMUM_PAGES,
    )


@pytest.fixture
async def job(pool: asyncpg.Pool, organization: Tenant) -> Job:
    """A running job of a data bundle of one dataset; its model reads in high quality."""
    own = organization.organization_id
    dataset_id, model_id = new_id(DatasetId), await seed_model(pool, own)
    await pool.execute("INSERT INTO dataset (organization_id, id) VALUES ($1, $2)", own, dataset_id)
    await pool.execute(
        "UPDATE model SET field_config = $2, preprocess_config = $3 WHERE id = $1",
        model_id,
        {"total": {"type": "amount"}},
        {"imageQuality": "HIGH", "autoRotate": False, "maxPages": 1},
    )
    bundle_id = await seed_data_bundle(pool, own, model_id, status="running", dataset_id=dataset_id)
    async with pool.acquire() as connection:
        await enqueue(connection, DATA_BUNDLE, organization_id=own, subject_id=bundle_id)
    return await claim_job(pool, DATA_BUNDLE)


async def add_document(pool: asyncpg.Pool, job: Job, content_key: str | None) -> str:
    """Add a labelled document to the dataset of the job's bundle and return its id."""
    document_id = new_id(DocumentId)
    await pool.execute(
        """
        INSERT INTO document (organization_id, id, dataset_id, content_key, content_md5, ground_truth)
        SELECT $1, $2, datasets -> 0 ->> 'datasetId', $4, $4, $5 FROM data_bundle WHERE id = $3
        """,
        job.organization_id,
        document_id,
        job.subject_id,
        content_key,
        LABELS,
    )
    return document_id


async def progress_of(pool: asyncpg.Pool, job: Job) -> tuple[int, int]:
    row = await pool.fetchrow(
        "SELECT documents_read, documents FROM data_bundle WHERE id = $1", job.subject_id
    )
    return tuple(row)


async def test_the_data_set_has_the_readable_documents(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job
) -> None:
    readable = await add_document(pool, job, "readable")
    damaged = await add_document(pool, job, "damaged")
    gone = await add_document(pool, job, "gone")
    empty = await add_document(pool, job, None)
    reading = StubReading(
        objects, {"damaged": [DocumentUnreadable("The PDF is damaged")], "gone": [NotFound("It is gone")]}
    )
    result = await bundle(settings, job, in_process(reading))
    found = [example async for example in iterate_examples(objects, [result.object_key])]
    assert found == [Example(readable, [page(0)], LABELS)]
    errors: list[dict[str, Any]] = result.summary["errors"]
    assert {error["documentId"]: error["message"] for error in errors if error["code"] == "DE001"} == {
        damaged: "The PDF is damaged",
        gone: "It is gone",
        empty: "The document has no content",
    }
    assert result.summary["aggregate"]["numberOfDocuments"] == 4


async def test_pandas_opens_the_prefix_as_one_data_set(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, objects_directory: Path, job: Job
) -> None:
    documents = [await add_document(pool, job, f"content-{number}") for number in range(3)]
    reading = StubReading(objects, number_of_pages=2, words=3)
    result = await bundle(settings, job, in_process(reading))
    frame = pandas.read_parquet(objects_directory / result.object_key)
    assert sorted(frame["document"]) == sorted(2 * documents)
    assert list(frame["words"][0]) == [word.text for word in page(0, 3).words]


async def test_the_first_pages_are_read_in_the_background(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job
) -> None:
    await add_document(pool, job, "content")
    reading = StubReading(objects)
    await bundle(settings, job, in_process(reading))
    (request,) = reading.requests
    assert (request.max_pages, request.in_background, request.pages) == (MAXIMUM_PAGES, True, None)
    assert request.options == ReadOptions(image_quality="HIGH")


async def test_unavailable_parts_fail_the_attempt(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job
) -> None:
    await add_document(pool, job, "readable")
    await add_document(pool, job, "content")
    reading = StubReading(objects, {"content": [Unavailable("Reading is not available")]})
    with pytest.raises(Unavailable) as raised:
        await bundle(settings, job, in_process(reading))
    assert raised.value.detail == "Reading is not available"


async def test_a_second_attempt_reads_no_page_again_and_replaces_nothing(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job
) -> None:
    for number in range(3):
        await add_document(pool, job, f"content-{number}")
    reading = StubReading(objects, number_of_pages=2)
    first = await bundle(settings, job, in_process(reading))
    second = await bundle(settings, job, in_process(reading))
    assert len(reading.read_pages) == 6
    assert first.object_key != second.object_key
    assert [one async for one in iterate_examples(objects, [first.object_key])] == [
        one async for one in iterate_examples(objects, [second.object_key])
    ]


async def test_progress_counts_all_documents_of_a_block(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_progress, "SECONDS_BETWEEN", 0.0)
    for content_key in ("readable", "other", None):
        await add_document(pool, job, content_key)
    seen: list[tuple[int, int]] = []

    async def watched(
        settings: Settings, job: Job, blocks: Sequence[DocumentBlock]
    ) -> AsyncGenerator[BlockOutcome, None]:
        async for outcome in in_process(StubReading(objects))(settings, job, blocks):
            seen.append(await progress_of(pool, job))
            yield outcome

    await bundle(settings, job, watched)
    assert seen == [(0, 3), (1, 3), (2, 3)]
    assert await progress_of(pool, job) == (3, 3)


async def test_an_attempt_that_was_taken_over_tells_no_progress(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job
) -> None:
    await add_document(pool, job, "content")
    former = msgspec.structs.replace(job, attempt=job.attempt - 1)
    with pytest.raises(JobCancelled):
        await bundle(settings, former, in_process(StubReading(objects)))
    assert await progress_of(pool, job) == (None, None)


async def test_progress_waits_for_postgres(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    progress = bundle_progress.BundleProgress("postgresql://localhost:1/nowhere", job, documents=3)
    await progress.advance(1)
    assert "the progress is untold" in caplog.text


async def test_a_bundle_without_documents_has_an_empty_data_set(
    settings: Settings, objects: ObjectStore, job: Job
) -> None:
    result = await bundle(settings, job, in_process(StubReading(objects)))
    assert [one async for one in iterate_examples(objects, [result.object_key])] == []


async def test_a_bundle_that_is_gone(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job
) -> None:
    await pool.execute("DELETE FROM data_bundle WHERE id = $1", job.subject_id)
    with pytest.raises(NotFound, match="does not exist any more"):
        await bundle(settings, job, in_process(StubReading(objects)))
