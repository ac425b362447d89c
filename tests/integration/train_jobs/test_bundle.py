"""A data bundle reads its documents, keeps those that it can read, and lists the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pagemill.applications.requests import ReadingRequest, ReadingResponse
from pagemill.documents.words import DocumentPages
from pagemill.errors import DocumentUnreadable, NotFound, PagemillError, Unavailable
from pagemill.extraction.types import ReadOptions
from pagemill.ids import DatasetId, DocumentId, new_id
from pagemill.jobs.job import Job
from pagemill.jobs.queue import enqueue
from pagemill.objects import ObjectStore
from pagemill.settings import Settings
from pagemill.work.data_bundles import DATA_BUNDLE
from tests.support.seeds import claim_job, seed_data_bundle, seed_model
from tests.support.tenants import Tenant
from train_jobs import snapshots
from train_jobs.bundle import bundle

MAXIMUM_PAGES = 3
LABELS = [{"label": "total", "value": "1.00"}]


class Reads:
    """A reading client that raises an error for some documents."""

    def __init__(self, errors: dict[str, PagemillError] | None = None) -> None:
        self._errors = errors or {}
        self.requests: list[ReadingRequest] = []

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        self.requests.append(request)
        if request.content_key in self._errors:
            raise self._errors[request.content_key]
        pages = DocumentPages(
            content_key=request.content_key, options=request.options, number_of_pages=1, indexes=[0]
        )
        return ReadingResponse(pages=pages, missing=[], next_page=None)


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


async def test_the_snapshot_has_the_readable_documents(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job
) -> None:
    readable = await add_document(pool, job, "readable")
    damaged = await add_document(pool, job, "damaged")
    gone = await add_document(pool, job, "gone")
    empty = await add_document(pool, job, None)
    reads = Reads({"damaged": DocumentUnreadable("The PDF is damaged"), "gone": NotFound("It is gone")})
    result = await bundle(settings, job, reads)
    snapshot = snapshots.decode(await objects.get(result.object_key))
    assert snapshot.options == ReadOptions(image_quality="HIGH")
    assert [one.document_id for one in snapshot.documents] == [readable]
    assert snapshot.documents[0].ground_truth == LABELS
    errors: list[dict[str, Any]] = result.summary["errors"]
    assert {error["documentId"]: error["message"] for error in errors if error["code"] == "DE001"} == {
        damaged: "The PDF is damaged",
        gone: "It is gone",
        empty: "The document has no content",
    }
    assert result.summary["aggregate"]["numberOfDocuments"] == 4


async def test_the_first_pages_are_read_without_returning_words(
    pool: asyncpg.Pool, settings: Settings, job: Job
) -> None:
    await add_document(pool, job, "content")
    reads = Reads()
    await bundle(settings, job, reads)
    (request,) = reads.requests
    assert (request.max_pages, request.with_words, request.pages) == (MAXIMUM_PAGES, False, None)
    assert request.options == ReadOptions(image_quality="HIGH")


async def test_unavailable_parts_fail_the_attempt(pool: asyncpg.Pool, settings: Settings, job: Job) -> None:
    await add_document(pool, job, "readable")
    await add_document(pool, job, "content")
    with pytest.raises(Unavailable):
        await bundle(settings, job, Reads({"content": Unavailable("Reading is not available")}))


async def test_a_bundle_without_documents_has_an_empty_snapshot(
    settings: Settings, objects: ObjectStore, job: Job
) -> None:
    result = await bundle(settings, job, Reads())
    assert snapshots.decode(await objects.get(result.object_key)).documents == []


async def test_a_bundle_that_is_gone(pool: asyncpg.Pool, settings: Settings, job: Job) -> None:
    await pool.execute("DELETE FROM data_bundle WHERE id = $1", job.subject_id)
    with pytest.raises(NotFound, match="does not exist any more"):
        await bundle(settings, job, Reads())
