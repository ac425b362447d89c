"""Pages are read once; what cannot be read is the document's failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from pagemill.applications.requests import ReadingRequest
from pagemill.errors import DocumentUnreadable, NotFound
from pagemill.extraction.reading import DocumentInfo
from pagemill.extraction.types import Page, Reading, ReadOptions, Word
from pagemill.objects import ObjectStore
from serve_apps.reading import BATCH_PAGES, CachedReading

KEY = "organizations/o/documents/d/content/c"


class Refused(DocumentUnreadable):
    """A subclass that only the reader knows."""


class PretendReader:
    """Reads as many pages as it is told that there are, and remembers what it was asked."""

    def __init__(self, number_of_pages: int = 3, error: Exception | None = None) -> None:
        self.number_of_pages, self.error = number_of_pages, error
        self.inspections = 0
        self.read_pages: list[list[int]] = []

    def inspect(self, content: bytes) -> DocumentInfo:
        self.inspections += 1
        if self.error:
            raise self.error
        return DocumentInfo("application/pdf", self.number_of_pages)

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        self.read_pages.append(list(page_indexes))
        words = [Word("word", 0.0, 0.0, 1.0, 1.0)]
        return Reading(self.number_of_pages, [Page(index, 1.0, "text", words) for index in page_indexes])


async def asked(reading: CachedReading, **request: object) -> list[int]:
    answer = await reading.read(ReadingRequest(content_key=KEY, **request))  # type: ignore[arg-type]
    return [page.index for page in answer.reading.pages]


async def test_only_missing_pages_are_read(objects: ObjectStore) -> None:
    reader = PretendReader()
    reading = CachedReading(objects, reader)
    await objects.put(KEY, b"content")
    assert await asked(reading, max_pages=2) == [0, 1]
    assert await asked(reading, pages=[-1, 0]) == [2, 0]
    assert await asked(reading, max_pages=100) == [0, 1, 2]
    assert reader.read_pages == [[0, 1], [2]]
    assert reader.inspections == 1


async def test_other_options_read_the_document_again(objects: ObjectStore) -> None:
    reader = PretendReader()
    reading = CachedReading(objects, reader)
    await objects.put(KEY, b"content")
    await asked(reading)
    await asked(reading, rotation=90)
    assert reader.read_pages == [[0], [0]]


async def test_a_page_beyond_the_end_gives_no_pages_and_no_next_page(objects: ObjectStore) -> None:
    reader = PretendReader()
    await objects.put(KEY, b"content")
    answer = await CachedReading(objects, reader).read(ReadingRequest(content_key=KEY, start_page=7))
    assert (answer.reading, answer.next_page) == (Reading(3, []), None)
    assert reader.read_pages == []


async def test_the_answer_has_the_next_page(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reading = CachedReading(objects, PretendReader())
    answers = [
        await reading.read(ReadingRequest(content_key=KEY, start_page=start, max_pages=2)) for start in (0, 2)
    ]
    assert [answer.next_page for answer in answers] == [2, None]


class HeldReader(PretendReader):
    """Stands still in its first read until it is let go."""

    def __init__(self, number_of_pages: int) -> None:
        super().__init__(number_of_pages)
        self.reached, self.go_on = threading.Event(), threading.Event()

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        self.reached.set()
        assert self.go_on.wait(10)
        return super().read(content, page_indexes, options)


class AnnouncingObjects:
    """Tells when an object was fetched; what follows in the same task happens before anybody hears of it."""

    def __init__(self, objects: ObjectStore, key: str) -> None:
        self.objects, self.key, self.fetched = objects, key, asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self.objects, name)

    async def get(self, key: str) -> bytes:
        content = await self.objects.get(key)
        if key == self.key:
            self.fetched.set()
        return content


async def test_other_documents_are_read_between_parts_of_a_long_one(objects: ObjectStore) -> None:
    reader = HeldReader(number_of_pages=10)
    announcing = AnnouncingObjects(objects, KEY + "2")
    reading = CachedReading(announcing, reader)  # type: ignore[arg-type]
    await objects.put(KEY, b"content")
    await objects.put(KEY + "2", b"other")
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(reading.read(ReadingRequest(content_key=KEY, max_pages=10)))
        await asyncio.to_thread(reader.reached.wait, 10)
        tasks.create_task(reading.read(ReadingRequest(content_key=KEY + "2", max_pages=1)))
        await announcing.fetched.wait()
        reader.go_on.set()
    assert max(len(part) for part in reader.read_pages) == BATCH_PAGES
    assert reader.read_pages.index([0]) < len(reader.read_pages) - 1


async def test_words_can_be_cached_without_being_returned(objects: ObjectStore) -> None:
    reading = CachedReading(objects, PretendReader())
    await objects.put(KEY, b"content")
    without = await reading.read(ReadingRequest(content_key=KEY, with_words=False))
    assert [page.words for page in without.reading.pages] == [[]]
    with_words = await reading.read(ReadingRequest(content_key=KEY))
    assert [len(page.words) for page in with_words.reading.pages] == [1]


async def test_errors_of_the_reader_have_the_public_class(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reading = CachedReading(objects, PretendReader(error=Refused("The PDF is encrypted")))
    with pytest.raises(DocumentUnreadable, match="encrypted") as caught:
        await asked(reading)
    assert type(caught.value) is DocumentUnreadable


async def test_missing_content_is_not_found(objects: ObjectStore) -> None:
    with pytest.raises(NotFound, match="content"):
        await asked(CachedReading(objects, PretendReader()))
