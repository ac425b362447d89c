"""Pages are read once and stored part by part; what cannot be read is the document's failure."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from pagemill.applications.requests import (
    PART_PAGES,
    ReadingRequest,
    ReadingResponse,
    first_pages_request,
    missing_pages_requests,
)
from pagemill.documents.words import find_pages, words_of
from pagemill.errors import DocumentUnreadable, NotFound, Unavailable
from pagemill.extraction.types import Page, Reading, ReadOptions, Word
from pagemill.objects import ObjectStore
from pagemill.tracing.spans import begin_trace, span
from serve_apps.reading import CachedReading
from serve_apps.reading_lane import Reader, ReadingLane
from serve_apps.reading_metrics import ReadingMetrics
from tests.support.collector import collecting, recording

KEY = "organizations/o/documents/d/content/c"


class Refused(DocumentUnreadable):
    """A subclass that only the reader knows."""


class PretendReader:
    """Reads as many pages as it is told that there are, and remembers what it was asked."""

    def __init__(self, number_of_pages: int = 3, *, text: str = "word", fails_at: int | None = None) -> None:
        self.number_of_pages, self.text, self.fails_at = number_of_pages, text, fails_at
        self.read_pages: list[list[int]] = []

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        self.read_pages.append(list(page_indexes))
        if self.fails_at in page_indexes:
            raise Refused("The PDF is encrypted")
        words = [Word(self.text, 0.0, 0.0, 1.0, 1.0)]
        inside = [index for index in page_indexes if index < self.number_of_pages]
        return Reading(self.number_of_pages, [Page(index, 1.0, "text", words) for index in inside])


def one_at_a_time(objects: ObjectStore, reader: Reader) -> CachedReading:
    """A replica that reads one part at a time, and one in the background."""
    background = ReadingLane(reader, at_once=1, in_background=True)
    return CachedReading(objects, ReadingLane(reader, at_once=1), background, ReadingMetrics())


async def answer(reading: CachedReading, **request: object) -> ReadingResponse:
    return await reading.read(ReadingRequest(content_key=KEY, **request))  # type: ignore[arg-type]


async def asked(reading: CachedReading, **request: object) -> list[int]:
    """The pages that come back; none is missing."""
    response = await answer(reading, **request)
    assert response.missing == []
    return response.pages.indexes


async def test_only_missing_pages_are_read(objects: ObjectStore) -> None:
    reader = PretendReader()
    reading = one_at_a_time(objects, reader)
    await objects.put(KEY, b"content")
    assert await asked(reading, max_pages=2) == [0, 1]
    assert await asked(reading, pages=[-1, 0]) == [2, 0]
    assert await asked(reading, max_pages=100) == [0, 1, 2]
    assert reader.read_pages == [[0, 1], [2]]


class TracedReader(PretendReader):
    """Its pages have spans, which its threads make."""

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        with span("page"):
            return super().read(content, page_indexes, options)


async def test_parts_are_traced_as_far_as_they_are_read(objects: ObjectStore) -> None:
    reading = one_at_a_time(objects, TracedReader())
    await objects.put(KEY, b"content")
    with collecting() as collector, recording(collector):
        for trace in ("first", "again"):
            with begin_trace(trace, None):
                await answer(reading)
        await answer(reading, pages=[1])
    first, again = (collector.of_trace(collector.one(trace).trace_id) for trace in ("first", "again"))
    assert [part.name for part in first] == [
        "first",
        "find stored pages",
        "fetch content",
        "wait for turn",
        "read part",
        "page",
        "store words",
    ]
    assert collector.one("page").parent_id == collector.one("read part").span_id
    assert [part.name for part in again] == ["again", "find stored pages"]
    assert len(collector.spans) == len(first) + len(again)


async def test_pages_that_nobody_asked_for_are_not_read(objects: ObjectStore) -> None:
    reader = PretendReader(number_of_pages=50)
    await objects.put(KEY, b"content")
    await asked(one_at_a_time(objects, reader))
    assert reader.read_pages == [[0]]


async def test_what_was_read_is_answered_without_the_content(objects: ObjectStore) -> None:
    reading = one_at_a_time(objects, PretendReader())
    await objects.put(KEY, b"content")
    first = await answer(reading, max_pages=2)
    await objects.delete(KEY)
    assert await answer(reading, max_pages=2) == first
    with pytest.raises(NotFound):
        await answer(reading, max_pages=3)


async def test_other_options_read_the_document_again(objects: ObjectStore) -> None:
    reader = PretendReader()
    reading = one_at_a_time(objects, reader)
    await objects.put(KEY, b"content")
    await asked(reading)
    await asked(reading, rotation=90)
    assert reader.read_pages == [[0], [0]]


async def test_a_page_beyond_the_end_gives_no_pages_and_no_next_page(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    response = await answer(one_at_a_time(objects, PretendReader()), start_page=7)
    assert (response.pages.indexes, response.next_page) == ([], None)
    assert (response.pages.number_of_pages, response.missing) == (3, [])


async def test_pages_counted_from_the_end_of_an_unknown_document(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reader = PretendReader(number_of_pages=9)
    reading = one_at_a_time(objects, reader)
    assert await asked(reading, pages=[-1, -9]) == [8, 0]
    assert await asked(reading, start_page=-2, max_pages=2) == [7, 8]
    assert [pages for pages in reader.read_pages if pages] == [[8, 0], [7]]


async def test_the_answer_has_the_next_page(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reading = one_at_a_time(objects, PretendReader())
    answers = [await answer(reading, start_page=start, max_pages=2) for start in (0, 2)]
    assert [each.next_page for each in answers] == [2, None]


async def test_of_a_long_document_a_request_reads_a_part(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reader = PretendReader(number_of_pages=10)
    reading = one_at_a_time(objects, reader)
    first = await answer(reading, max_pages=100)
    assert first.pages.indexes == list(range(10))
    assert first.missing == list(range(PART_PAGES, 10))
    second = await answer(reading, max_pages=100)
    assert second.missing == list(range(2 * PART_PAGES, 10))
    assert [len(pages) for pages in reader.read_pages] == [PART_PAGES, PART_PAGES]


async def test_another_replica_goes_on_where_one_has_ended(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    dying = one_at_a_time(objects, PretendReader(number_of_pages=8, fails_at=5))
    assert (await answer(dying, max_pages=8)).missing == [4, 5, 6, 7]
    with pytest.raises(DocumentUnreadable):
        await answer(dying, max_pages=8)
    reader = PretendReader(number_of_pages=8)
    assert (await answer(one_at_a_time(objects, reader), max_pages=8)).missing == []
    assert reader.read_pages == [[4, 5, 6, 7]]


async def test_a_damaged_page_is_read_again_alone(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reader = PretendReader(number_of_pages=3)
    reading = one_at_a_time(objects, reader)
    await asked(reading, max_pages=3)
    stored = [key async for key in objects.list("organizations/o/documents/d/words/")]
    await objects.put(stored[1], (await objects.get(stored[1]))[:-3])
    pages = (await answer(reading, max_pages=3)).pages
    with pytest.raises(Unavailable):
        await words_of(objects, pages)
    assert await asked(reading, max_pages=3) == [0, 1, 2]
    assert [page.index for page in await words_of(objects, pages)] == [0, 1, 2]
    assert reader.read_pages == [[0, 1, 2], [1]]


class HeldReader(PretendReader):
    """Stands still in each read until it is let go, and counts how many do."""

    def __init__(self, number_of_pages: int) -> None:
        super().__init__(number_of_pages)
        self.reached, self.go_on = threading.Semaphore(0), threading.Event()

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        self.reached.release()
        assert self.go_on.wait(60)
        return super().read(content, page_indexes, options)

    async def reads(self) -> None:
        """Return when one more read has begun."""
        assert await asyncio.to_thread(self.reached.acquire, timeout=60)


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


async def test_parts_have_their_turns_in_the_order_of_requests(objects: ObjectStore) -> None:
    reader = HeldReader(number_of_pages=10)
    announcing = AnnouncingObjects(objects, KEY + "2")
    reading = one_at_a_time(announcing, reader)  # type: ignore[arg-type]
    await objects.put(KEY, b"content")
    await objects.put(KEY + "2", b"other")
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(answer(reading, max_pages=10))
        await reader.reads()
        tasks.create_task(reading.read(ReadingRequest(content_key=KEY + "2")))
        await announcing.fetched.wait()
        tasks.create_task(answer(reading, pages=[5]))
        reader.go_on.set()
    assert reader.read_pages == [[0, 1, 2, 3], [0], [5]]


async def test_several_documents_are_read_at_once_up_to_a_bound(objects: ObjectStore) -> None:
    reader = HeldReader(number_of_pages=1)
    lane = ReadingLane(reader, at_once=2)
    reading = CachedReading(objects, lane, lane, ReadingMetrics())
    for name in "abc":
        await objects.put(KEY + name, b"content")
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(reading.read(ReadingRequest(content_key=KEY + name)))
        await reader.reads()
        await reader.reads()
        assert not reader.reached.acquire(timeout=0.05)
        reader.go_on.set()
        await reader.reads()


async def test_a_part_that_is_being_read_is_kept_though_its_caller_goes(objects: ObjectStore) -> None:
    reader = HeldReader(number_of_pages=2)
    reading = one_at_a_time(objects, reader)
    await objects.put(KEY, b"content")
    async with asyncio.timeout(60):
        going = asyncio.create_task(answer(reading, max_pages=2))
        await reader.reads()
        going.cancel()
        # The turn is not free before the thread has ended.
        waiting = asyncio.create_task(answer(reading, rotation=90))
        reader.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await going
        await waiting
    assert (await find_pages(objects, KEY, ReadOptions())).indexes == [0, 1]
    assert reader.read_pages == [[0, 1], [0]]


async def test_nothing_is_read_for_a_caller_that_went_while_it_waited(objects: ObjectStore) -> None:
    reader = HeldReader(number_of_pages=2)
    announcing = AnnouncingObjects(objects, KEY + "2")
    reading = one_at_a_time(announcing, reader)  # type: ignore[arg-type]
    await objects.put(KEY, b"content")
    await objects.put(KEY + "2", b"other")
    async with asyncio.timeout(60):
        first = asyncio.create_task(answer(reading))
        await reader.reads()
        going = asyncio.create_task(reading.read(ReadingRequest(content_key=KEY + "2", max_pages=2)))
        await announcing.fetched.wait()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        reader.go_on.set()
        await first
        await answer(reading, rotation=90)
    assert reader.read_pages == [[0], [0]]


async def test_a_request_passes_those_in_the_background(objects: ObjectStore) -> None:
    held, reader = HeldReader(number_of_pages=1), PretendReader()
    background = ReadingLane(held, at_once=1, in_background=True)
    reading = CachedReading(objects, ReadingLane(reader, at_once=1), background, ReadingMetrics())
    for name in "abc":
        await objects.put(KEY + name, b"content")
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for name in "ab":
            tasks.create_task(reading.read(first_pages_request(KEY + name, ReadOptions(), 1)))
        await held.reads()
        await reading.read(ReadingRequest(content_key=KEY + "c"))
        assert (reader.read_pages, held.read_pages) == ([[0]], [])
        held.go_on.set()
    assert held.read_pages == [[0], [0]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has threads that give way to all others")
async def test_threads_in_the_background_give_way_to_all_others(objects: ObjectStore) -> None:
    class Scheduled(PretendReader):
        def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
            child = subprocess.run(
                [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"],
                capture_output=True,
                check=True,
            )
            self.policies = os.sched_getscheduler(0), int(child.stdout)
            return super().read(content, page_indexes, options)

    interactive, background = Scheduled(), Scheduled()
    lanes = ReadingLane(interactive, at_once=1), ReadingLane(background, at_once=1, in_background=True)
    reading = CachedReading(objects, *lanes, ReadingMetrics())
    await objects.put(KEY, b"content")
    await reading.read(first_pages_request(KEY, ReadOptions(), 1))
    await answer(reading, max_pages=2)
    assert background.policies == (os.SCHED_IDLE, os.SCHED_IDLE)
    assert interactive.policies == (os.SCHED_OTHER, os.SCHED_OTHER)


async def test_errors_of_the_reader_have_the_public_class(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reading = one_at_a_time(objects, PretendReader(fails_at=0))
    with pytest.raises(DocumentUnreadable, match="encrypted") as caught:
        await asked(reading)
    assert type(caught.value) is DocumentUnreadable


async def test_a_failure_leaves_the_turn_to_the_next(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reader = PretendReader(fails_at=0)
    reading = one_at_a_time(objects, reader)
    async with asyncio.timeout(60):
        for _ in range(3):
            with pytest.raises(DocumentUnreadable):
                await asked(reading)
        assert await asked(reading, pages=[1]) == [1]


async def test_missing_content_is_not_found(objects: ObjectStore) -> None:
    with pytest.raises(NotFound, match="content"):
        await asked(one_at_a_time(objects, PretendReader()))


def test_all_parts_of_a_document_that_is_bundled_are_read_in_the_background() -> None:
    request = first_pages_request(KEY, ReadOptions(), 30)
    parts = missing_pages_requests(request, range(4, 30))
    assert len(parts) == 7
    assert all(part.in_background for part in (request, *parts))
