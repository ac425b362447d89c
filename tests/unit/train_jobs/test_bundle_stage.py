"""Blocks of a data bundle: how documents are shared between them, what is read, and what is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

from pagemill.applications.clients import ReadingClient
from pagemill.applications.requests import ReadingRequest, ReadingResponse
from pagemill.documents import bundle_files
from pagemill.documents.words import find_pages, words_prefix_of
from pagemill.errors import DocumentUnreadable, NotFound, Unavailable
from pagemill.extraction.types import Example, ReadOptions
from pagemill.objects import ObjectStore
from pagemill.objects.local import LocalObjectStore
from pagemill.settings import Settings, to_environment
from tests.support.bundling import StubReading, page
from train_jobs import bundle_stage
from train_jobs.bundle_blocks import (
    BLOCK_DOCUMENTS,
    BLOCKS,
    BlockDocument,
    BlockOutcome,
    DocumentBlock,
    blocks_of,
)
from train_jobs.bundle_pipeline import MAXIMUM_BLOCKS_AT_ONCE, BundleStage, blocks_at_once
from train_jobs.bundle_stage import DocumentBundler

PREFIX = "organizations/o/data-bundles/1/a/"
AWAY = Unavailable("Reading is not available", detail="the replica died")


def documents(number: int) -> list[BlockDocument]:
    return [BlockDocument(f"{one:04d}", f"content/{one:04d}", []) for one in range(number)]


def block(number: int = 3) -> DocumentBlock:
    return DocumentBlock(7, PREFIX, ReadOptions(), documents(number))


def bundler(objects: ObjectStore, reading: StubReading, *, retries: int = 0) -> DocumentBundler:
    return DocumentBundler(objects, reading, parts=2, pages_per_document=30, retry_seconds=[0.0] * retries)


async def written(objects: ObjectStore, name: str) -> list[Example]:
    return list(bundle_files.from_table(bundle_files.decode(await objects.get(PREFIX + name))))


@pytest.mark.parametrize(
    ("number", "blocks", "largest"), [(0, 0, 0), (1, 1, 1), (50, 50, 1), (51, 26, 2), (5000, 79, 64)]
)
def test_all_documents_are_in_blocks_in_their_order(number: int, blocks: int, largest: int) -> None:
    made = blocks_of(documents(number), PREFIX, ReadOptions())
    assert [one for each in made for one in each.documents] == documents(number)
    assert [each.number for each in made] == list(range(blocks))
    assert max((len(each.documents) for each in made), default=0) == largest <= BLOCK_DOCUMENTS
    assert number < BLOCKS or blocks >= BLOCKS / 2


@pytest.mark.parametrize(("parts", "size"), [(3, 1), (3, 64), (119, 1), (119, 20), (119, 64)])
def test_blocks_that_are_made_at_once_have_documents_for_all_parts(parts: int, size: int) -> None:
    at_once = blocks_at_once(parts, size)
    assert 2 <= at_once <= MAXIMUM_BLOCKS_AT_ONCE
    assert at_once * size >= min(2 * parts, MAXIMUM_BLOCKS_AT_ONCE)


async def test_a_block_is_one_file_in_the_order_of_the_documents(objects: ObjectStore) -> None:
    outcome = await bundler(objects, StubReading(objects, number_of_pages=6)).bundle(block())
    assert (outcome.number, outcome.documents, outcome.problems) == (7, 3, {})
    (file,) = outcome.files
    assert (file.name, file.documents) == ("part-00007-000.parquet", ["0000", "0001", "0002"])
    pages = [page(index) for index in range(6)]
    assert await written(objects, file.name) == [Example(name, pages, []) for name in file.documents]


async def test_a_file_ends_with_the_document_that_fills_it(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_stage, "FILE_BYTES", 100)
    outcome = await bundler(objects, StubReading(objects, words=20)).bundle(block())
    assert [file.documents for file in outcome.files] == [["0000"], ["0001"], ["0002"]]
    assert len({file.name for file in outcome.files}) == 3


async def test_a_block_that_is_made_again_reads_nothing_and_has_the_same_files(objects: ObjectStore) -> None:
    reading = StubReading(objects, number_of_pages=2)
    first = await bundler(objects, reading).bundle(block())
    assert await bundler(objects, reading).bundle(block()) == first
    assert len(reading.read_pages) == 6


async def test_a_document_that_cannot_be_read_is_in_no_file(objects: ObjectStore) -> None:
    reading = StubReading(objects, {"content/0001": [DocumentUnreadable("damaged")]})
    outcome = await bundler(objects, reading).bundle(block())
    assert outcome.problems == {"0001": "damaged"}
    assert [file.documents for file in outcome.files] == [["0000", "0002"]]


async def test_a_block_of_unreadable_documents_has_no_file(objects: ObjectStore) -> None:
    empty = DocumentBlock(0, PREFIX, ReadOptions(), [BlockDocument("a", None, [])])
    outcome = await bundler(objects, StubReading(objects)).bundle(empty)
    assert (outcome.files, outcome.problems) == ([], {"a": "The document has no content"})
    assert [key async for key in objects.list(PREFIX)] == []


@pytest.mark.parametrize(("retries", "given_up"), [(2, False), (1, True)])
async def test_a_lost_replica_is_asked_again(objects: ObjectStore, retries: int, given_up: bool) -> None:
    reading = StubReading(objects, {"content/0001": [AWAY, AWAY]})
    outcome = await bundler(objects, reading, retries=retries).bundle(block())
    assert (outcome.unavailable is not None) == given_up
    if given_up:
        assert outcome.unavailable == "Reading is not available: the replica died"


async def test_a_damaged_page_is_read_again(objects: ObjectStore) -> None:
    reading = StubReading(objects, number_of_pages=2)
    await bundler(objects, reading).bundle(block(1))
    await objects.put(words_prefix_of("content/0000", ReadOptions()) + "00001-of-00002.msgpack", b"damaged")
    (file,) = (await bundler(objects, reading).bundle(block(1))).files
    assert await written(objects, file.name) == [Example("0000", [page(0), page(1)], [])]
    assert reading.read_pages.count(("content/0000", 1)) == 2
    assert (await find_pages(objects, "content/0000", ReadOptions())).indexes == [0, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has threads that give way to all others")
def test_the_stage_works_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = []

    class Scheduled(StubReading):
        async def read(self, request: ReadingRequest) -> ReadingResponse:
            policies.append(os.sched_getscheduler(0))
            return await super().read(request)

    class Stage(BundleStage):
        def find_reading(self) -> ReadingClient:
            return Scheduled(LocalObjectStore(tmp_path))

    settings = Settings(database_url="postgresql://unused", objects_url=f"file://{tmp_path}")
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    answered = Stage(parts=2)({"block": msgspec.msgpack.encode(block(2))})
    outcome = msgspec.msgpack.decode(answered["outcome"], type=BlockOutcome)
    assert [file.documents for file in outcome.files] == [["0000", "0001"]]
    assert policies == [os.SCHED_IDLE] * 2
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


class VanishingReading(StubReading):
    """Reading of documents that are deleted once they have been read."""

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        response = await super().read(request)
        await self._objects.delete_prefix(words_prefix_of(request.content_key, request.options))
        self._errors[request.content_key] = [NotFound("It is gone")]
        return response


async def test_a_document_that_is_deleted_meanwhile_is_left_out(objects: ObjectStore) -> None:
    outcome = await bundler(objects, VanishingReading(objects)).bundle(block())
    assert (outcome.unavailable, outcome.files) == (None, [])
