"""The reading application: replicas that read the words of pages, each with one confined child process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Protocol

import msgspec
from ray import serve
from ray.serve import Application

from pagemill.applications.requests import ReadingRequest, ReadingResponse
from pagemill.documents.words import CachedWords, add_words, load_words
from pagemill.errors import DocumentUnreadable, NotFound
from pagemill.extraction.page_selection import MAX_SELECTED_PAGES, PageSelection, select_pages
from pagemill.extraction.reading import DocumentInfo, PageReader
from pagemill.extraction.types import Reading, ReadOptions
from pagemill.objects import open_objects
from pagemill.objects.store import ObjectStore
from pagemill.settings import Settings, load_settings

ONGOING_PER_REPLICA = 4
"""One document is read while the bytes of the others are loaded and their words stored."""
TARGET_PER_REPLICA = 2.0
BATCH_PAGES = 4
"""A long document is read in parts: between them others get their turn, and the caller may have gone."""


class Reader(Protocol):
    """Reader of a document's pages; its methods block."""

    def inspect(self, content: bytes) -> DocumentInfo:
        """Return the number of pages. Raises DocumentUnreadable."""
        ...

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        """Return the words of some pages. Raises DocumentUnreadable."""
        ...


class PageReading:
    """A replica. A document that breaks the child process is an error of that document alone."""

    def __init__(self) -> None:
        self._reader = PageReader()
        self._reading = CachedReading(open_objects(load_settings(os.environ)), self._reader)

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Return the pages. Raises DocumentUnreadable, NotFound when the content is gone, Unavailable."""
        return await self._reading.read(request)

    def __del__(self) -> None:
        if hasattr(self, "_reader"):
            self._reader.close()


class CachedReading:
    """Reading through the cache of words; it reads a part of one document at a time."""

    def __init__(self, objects: ObjectStore, reader: Reader) -> None:
        self._objects, self._reader = objects, reader
        self._turn = asyncio.Lock()

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Return the pages, and read those that are not in the cache.

        Raises DocumentUnreadable, NotFound when the content is gone, Unavailable.
        """
        words = await load_words(self._objects, request.content_key, request.options)
        selection = _select(words.number_of_pages, request)
        if not words.number_of_pages or words.missing(selection.indexes):
            words = await self._read_missing(words, request)
            selection = _select(words.number_of_pages, request)
        reading = words.reading(selection.indexes)
        return ReadingResponse(
            reading if request.with_words else _without_words(reading), selection.next_page
        )

    async def _read_missing(self, words: CachedWords, request: ReadingRequest) -> CachedWords:
        """Read the pages that are missing, and return all words that are in the cache then."""
        try:
            content = await self._objects.get(request.content_key)
        except NotFound as error:
            raise NotFound("The document has no content any more") from error
        try:
            number_of_pages = words.number_of_pages or await self._count_pages(content)
            missing = words.missing(_select(number_of_pages, request).indexes)
            reading = await self._read(content, number_of_pages, missing, request.options)
        except DocumentUnreadable as error:
            # Subclasses of the reader stay inside: callers compare the class by name.
            raise DocumentUnreadable(error.message, detail=error.detail) from None
        return await add_words(self._objects, request.content_key, request.options, reading)

    async def _count_pages(self, content: bytes) -> int:
        async with self._turn:
            return (await asyncio.to_thread(self._reader.inspect, content)).number_of_pages

    async def _read(
        self, content: bytes, number_of_pages: int, indexes: Sequence[int], options: ReadOptions
    ) -> Reading:
        reading = Reading(number_of_pages, [])
        for start in range(0, len(indexes), BATCH_PAGES):
            batch = indexes[start : start + BATCH_PAGES]
            async with self._turn:
                found = await asyncio.to_thread(self._reader.read, content, batch, options)
            reading.pages.extend(found.pages)
        return reading


def _select(number_of_pages: int, request: ReadingRequest) -> PageSelection:
    return select_pages(
        number_of_pages,
        pages=request.pages,
        start_page=request.start_page,
        max_pages=min(request.max_pages, MAX_SELECTED_PAGES),
    )


def _without_words(reading: Reading) -> Reading:
    return Reading(
        reading.number_of_pages, [msgspec.structs.replace(page, words=[]) for page in reading.pages]
    )


def reading_application(settings: Settings) -> Application:
    """Return the application in the size that the settings give."""
    deployment = serve.deployment(
        name="PageReading",
        max_ongoing_requests=ONGOING_PER_REPLICA,
        ray_actor_options={"num_cpus": settings.reading_cpus},
        autoscaling_config={
            "min_replicas": 1,
            "initial_replicas": 1,
            "max_replicas": max(1, settings.reading_replicas_max),
            "target_ongoing_requests": TARGET_PER_REPLICA,
            "upscale_delay_s": 3.0,
            "downscale_delay_s": 120.0,
        },
        logging_config={"enable_access_log": False},
        health_check_period_s=5.0,
        graceful_shutdown_timeout_s=5.0,
    )
    return deployment(PageReading).bind()
