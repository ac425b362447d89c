"""Reading that does not read, and data bundles that are made in the process of the test."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from pagemill.applications.clients import ReadingClient
from pagemill.applications.requests import PART_PAGES, ReadingRequest, ReadingResponse
from pagemill.documents.words import DocumentPages, find_pages, store_pages
from pagemill.errors import PagemillError
from pagemill.extraction.types import Page, Reading, Word
from pagemill.jobs.job import Job
from pagemill.objects import ObjectStore, open_objects
from pagemill.settings import Settings, load_settings
from train_jobs.bundle import BlockMaker
from train_jobs.bundle_blocks import BlockOutcome, DocumentBlock
from train_jobs.bundle_pipeline import BundleStage
from train_jobs.bundle_stage import DocumentBundler

READ_PAGES = "TEST_READ_PAGES"
"""Variable with the file that has a line for each page that the stage of ``CountedStage`` has had read."""
FATAL = "fatal"
"""A content whose first reading kills the process that asked for it."""


def page(index: int, words: int = 1) -> Page:
    """A page with words."""
    return Page(index, 0.7, "text", [Word(f"word-{index}-{n}", 0.1, 0.2, 0.3, 0.4) for n in range(words)])


class StubReading:
    """Reading client that stores pages as the application does.

    ``errors`` of a content are raised first, one for each request.
    """

    def __init__(
        self,
        objects: ObjectStore,
        errors: Mapping[str, Sequence[PagemillError]] | None = None,
        *,
        number_of_pages: int = 1,
        words: int = 1,
    ) -> None:
        self._objects, self._number_of_pages, self._words = objects, number_of_pages, words
        self._errors = {key: list(some) for key, some in (errors or {}).items()}
        self.requests: list[ReadingRequest] = []
        self.read_pages: list[tuple[str, int]] = []

    def note(self, pages: list[tuple[str, int]]) -> None:
        """Remember what was read."""
        self.read_pages += pages

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        self.requests.append(request)
        if errors := self._errors.get(request.content_key):
            raise errors.pop(0)
        selected = request.pages or list(range(min(self._number_of_pages, request.max_pages)))
        stored = await find_pages(self._objects, request.content_key, request.options)
        missing = stored.missing(selected)
        part = missing[:PART_PAGES]
        if part:
            reading = Reading(self._number_of_pages, [page(index, self._words) for index in part])
            await store_pages(self._objects, request.content_key, request.options, reading)
            self.note([(request.content_key, index) for index in part])
        return ReadingResponse(
            pages=DocumentPages(
                content_key=request.content_key,
                options=request.options,
                number_of_pages=self._number_of_pages,
                indexes=selected,
            ),
            missing=missing[PART_PAGES:],
            next_page=None,
        )


def in_process(reading: ReadingClient) -> BlockMaker:
    """Return the maker of blocks that makes them here, one after the other."""

    async def make(
        settings: Settings, _job: Job, blocks: Sequence[DocumentBlock]
    ) -> AsyncGenerator[BlockOutcome, None]:
        bundler = DocumentBundler(
            open_objects(settings),
            reading,
            parts=4,
            pages_per_document=settings.training_pages_per_document,
            retry_seconds=(),
        )
        for block in blocks:
            yield await bundler.bundle(block)

    return make


class FatalReading(StubReading):
    """Reading that writes down what it has read, and ends its process once."""

    def note(self, pages: list[tuple[str, int]]) -> None:
        counted = Path(os.environ[READ_PAGES])
        with counted.open("a") as file:
            file.writelines(f"{key} {index}\n" for key, index in pages)
        died = Path(f"{counted}.died")
        if pages[0][0].endswith(FATAL) and not died.exists():
            died.touch()
            os._exit(1)


class CountedStage(BundleStage):
    """The stage with reading that writes down what it reads, and ends its process once."""

    def find_reading(self) -> ReadingClient:
        return FatalReading(open_objects(load_settings(os.environ)), number_of_pages=6, words=3)
