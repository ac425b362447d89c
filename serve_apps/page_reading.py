"""Reading pages through the cache of words; what the reading application does, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from pagemill.applications.requests import ReadingRequest, ReadingResponse
from pagemill.documents.words import CachedWords, add_words, load_words
from pagemill.errors import DocumentUnreadable, NotFound
from pagemill.extraction.page_selection import MAX_SELECTED_PAGES, PageSelection, select_pages
from pagemill.extraction.reading import DocumentInfo
from pagemill.extraction.types import Reading, ReadOptions
from pagemill.objects.store import ObjectStore

PAGES_AT_ONCE = 4
"""A long document is read in parts: between them others get their turn, and the caller may have gone."""


class Reader(Protocol):
    """The part of PageReader that is used here; its methods block."""

    def inspect(self, content: bytes) -> DocumentInfo: ...

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading: ...


class CachedReading:
    """Reads what has not been read before; one part of one document at a time."""

    def __init__(self, objects: ObjectStore, reader: Reader) -> None:
        self._objects, self._reader = objects, reader
        self._turn = asyncio.Lock()

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """The pages asked for.

        Raises DocumentUnreadable, NotFound when the content is not there any more, and Unavailable.
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
        try:
            content = await self._objects.get(request.content_key)
        except NotFound as error:
            raise NotFound("The document has no content any more") from error
        try:
            number_of_pages = words.number_of_pages or await self._count(content)
            missing = words.missing(_select(number_of_pages, request).indexes)
            reading = Reading(number_of_pages, [])
            for start in range(0, len(missing), PAGES_AT_ONCE):
                part = missing[start : start + PAGES_AT_ONCE]
                async with self._turn:
                    found = await asyncio.to_thread(self._reader.read, content, part, request.options)
                reading.pages.extend(found.pages)
        except DocumentUnreadable as error:
            # The reader's own subclasses stay inside: callers compare the class by name.
            raise DocumentUnreadable(error.message, detail=error.detail) from None
        return await add_words(self._objects, request.content_key, request.options, reading)

    async def _count(self, content: bytes) -> int:
        async with self._turn:
            return (await asyncio.to_thread(self._reader.inspect, content)).number_of_pages


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
