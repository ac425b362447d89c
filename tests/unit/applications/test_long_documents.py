"""A long document is spread over the replicas, and no message of either application becomes too large."""

from __future__ import annotations

import asyncio
import pickle
import random
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from pagemill.applications.clients import ApplicationClient, read_all_parts
from pagemill.applications.large_predictions import from_message, to_message
from pagemill.applications.requests import PART_PAGES, PredictionRequest, ReadingRequest, ReadingResponse
from pagemill.documents.words import words_of
from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.extraction.types import Page, Reading, ReadOptions, Word
from pagemill.objects import ObjectStore
from serve_apps.reading import CachedReading
from serve_apps.reading_lane import ReadingLane
from serve_apps.reading_metrics import ReadingMetrics

KEY = "organizations/o/documents/d/content/c"
SERVE_BYTES = 4 * 1024 * 1024
"""Most that Serve carries."""
REPLICAS = 3
AT_ONCE = 5
EVERYTHING = {"maxPages": 100}


class Printed:
    """A reader of documents of so many pages and words on each; it counts how often it reads a page."""

    def __init__(self, number_of_pages: int, words_per_page: int, *, fails_at: int | None = None) -> None:
        self.number_of_pages, self.words_per_page = number_of_pages, words_per_page
        self.fails_at = fails_at
        self.times_read: dict[int, int] = {}
        self._lock = threading.Lock()

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        inside = [index for index in page_indexes if index < self.number_of_pages]
        with self._lock:
            for index in inside:
                if index == self.fails_at:
                    raise RuntimeError("the replica is gone")
                self.times_read[index] = self.times_read.get(index, 0) + 1
        return Reading(self.number_of_pages, [self.page(index) for index in inside])

    def page(self, index: int) -> Page:
        """The page as it is read every time."""
        chance = random.Random(index)
        words = [
            Word(f"w{chance.getrandbits(32):x}", *(chance.random() for _ in range(5)))
            for _ in range(self.words_per_page)
        ]
        return Page(index, 0.7, "text", words)


class Serve:
    """Reading on several replicas in turn, and prediction; it measures what each message takes."""

    def __init__(self, objects: ObjectStore, reader: Printed) -> None:
        self._objects = objects
        lanes = [ReadingLane(reader, at_once=2) for _ in range(REPLICAS)]
        self._replicas = [CachedReading(objects, lane, lane, ReadingMetrics()) for lane in lanes]
        self.asked: list[int] = [0] * REPLICAS
        self.under_way = self.most_under_way = 0
        self.messages: list[bytes] = []

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        replica = sum(self.asked) % REPLICAS
        self.asked[replica] += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            response: ReadingResponse = self._carried(
                await self._replicas[replica].read(self._carried(request))
            )
        except RuntimeError as error:
            raise Unavailable("Reading is not available") from error
        finally:
            self.under_way -= 1
        return response

    def lose_readers(self) -> None:
        """End all replicas that read."""
        self._replicas.clear()

    async def predict(self, artefact_key: str, request: PredictionRequest) -> list[dict[str, Any]]:
        request = self._carried(request)
        pages = await words_of(self._objects, request.pages)
        found = [{"label": str(page.index), "value": len(page.words)} for page in pages]
        message = await to_message(self._objects, request.pages.content_key, found)
        return await from_message(self._objects, self._carried(message))  # type: ignore[return-value]

    def _carried(self, message: Any) -> Any:
        self.messages.append(pickle.dumps(message))
        return pickle.loads(self.messages[-1])

    @property
    def largest(self) -> int:
        """Bytes of the largest message."""
        return max(map(len, self.messages))


def client_of(applications: Serve) -> ApplicationClient:
    return ApplicationClient(applications, applications, parts_at_once=AT_ONCE)


async def predict_all(client: ApplicationClient, config: dict[str, object]) -> tuple[list[Any], int | None]:
    """The predictions of a selection, and its next page."""
    pages, next_page = await client.read(KEY, config)
    found = await client.predict("artefact/", pages, {})
    assert isinstance(found, list)
    return found, next_page


async def test_a_document_of_150_full_pages_goes_through_both_applications(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reader = Printed(150, 700)
    applications = Serve(objects, reader)
    client = client_of(applications)
    first, next_page = await predict_all(client, EVERYTHING)
    assert [item["label"] for item in first] == [str(index) for index in range(100)]
    assert all(item["value"] == 700 for item in first)
    assert next_page == 100
    rest, next_page = await predict_all(client, {"maxPages": 100, "startPage": 100})
    assert [item["label"] for item in rest] == [str(index) for index in range(100, 150)]
    assert next_page is None
    assert reader.times_read == dict.fromkeys(range(150), 1)
    assert applications.largest < SERVE_BYTES / 2
    # All words of the selection in one message would not have been carried.
    assert len(pickle.dumps([reader.page(index) for index in range(100)])) > SERVE_BYTES


@pytest.mark.parametrize("number_of_pages", [1, PART_PAGES])
async def test_pages_full_of_words_go_through_both_applications(
    objects: ObjectStore, number_of_pages: int
) -> None:
    """The reader's own limit is 20,000 words a page."""
    await objects.put(KEY, b"content")
    applications = Serve(objects, Printed(number_of_pages, 20_000))
    found, _ = await predict_all(client_of(applications), EVERYTHING)
    assert [item["value"] for item in found] == [20_000] * number_of_pages
    assert applications.largest < SERVE_BYTES / 2


@pytest.mark.parametrize("words_per_page", [1, 700])
async def test_words_are_with_neither_the_caller_nor_the_replica_that_has_read_them(
    objects: ObjectStore, words_per_page: int
) -> None:
    """An ordinary prediction is one request to each application; the messages say where the words are."""
    await objects.put(KEY, b"content")
    reader = Printed(3, words_per_page)
    applications = Serve(objects, reader)
    client = client_of(applications)
    pages, next_page = await client.read(KEY, {"maxPages": 1})
    applications.lose_readers()
    found = await client.predict("artefact/", pages, {})
    assert found == [{"label": "0", "value": words_per_page}]
    assert next_page == 1
    assert (sum(applications.asked), len(applications.messages)) == (1, 4)
    assert applications.largest < 1024
    texts = [word.text.encode() for word in reader.page(0).words]
    assert not any(text in message for text in texts for message in applications.messages)


async def test_a_document_is_spread_over_the_replicas_but_leaves_room(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    applications = Serve(objects, Printed(100, 1))
    await client_of(applications).read(KEY, EVERYTHING)
    assert sum(applications.asked) == 100 / PART_PAGES
    assert min(applications.asked) >= sum(applications.asked) // REPLICAS
    assert applications.most_under_way == AT_ONCE


async def test_pages_come_in_the_order_of_the_request(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    asked = [9, 0, 7, -3, 1, 5, 0]
    found, next_page = await predict_all(client_of(Serve(objects, Printed(10, 1))), {"pages": asked})
    assert ([item["label"] for item in found], next_page) == (["9", "0", "7", "1", "5"], None)


async def test_a_second_attempt_reads_only_what_the_first_has_left(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    dying = Printed(12, 1, fails_at=6)
    with pytest.raises(Unavailable):
        await client_of(Serve(objects, dying)).read(KEY, EVERYTHING)
    # The first part was answered before the others were requested; of these, one broke.
    assert set(dying.times_read) >= {0, 1, 2, 3}
    reader = Printed(12, 1)
    found, _ = await predict_all(client_of(Serve(objects, reader)), EVERYTHING)
    assert len(found) == 12
    assert set(reader.times_read) == {4, 5, 6, 7} | (set(range(8, 12)) - set(dying.times_read))


async def test_a_damaged_page_costs_one_attempt_and_is_read_again_alone(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    reader = Printed(10, 1)
    client = client_of(Serve(objects, reader))
    await predict_all(client, EVERYTHING)
    stored = [key async for key in objects.list("organizations/o/documents/d/words/")]
    await objects.put(stored[7], (await objects.get(stored[7]))[:-1])
    with pytest.raises(Unavailable):
        await predict_all(client, EVERYTHING)
    found, _ = await predict_all(client, EVERYTHING)
    assert [item["label"] for item in found] == [str(index) for index in range(10)]
    assert reader.times_read == {index: 2 if index == 7 else 1 for index in range(10)}


async def test_a_failure_of_one_part_ends_the_others(objects: ObjectStore) -> None:
    class Failing:
        def __init__(self) -> None:
            self.asked: list[list[int] | None] = []
            self.cancelled = 0

        async def read(self, request: ReadingRequest) -> ReadingResponse:
            self.asked.append(request.pages)
            if request.pages is None:
                lane = ReadingLane(Printed(100, 0), at_once=1)
                return await CachedReading(objects, lane, lane, ReadingMetrics()).read(request)
            if len(self.asked) == 3:
                raise DocumentUnreadable("damaged")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            raise AssertionError

    await objects.put(KEY, b"content")
    failing = Failing()
    request = ReadingRequest(content_key=KEY, max_pages=100)
    async with asyncio.timeout(60):
        with pytest.raises(DocumentUnreadable):
            await read_all_parts(failing, request, asyncio.Semaphore(2))
    # The one that waited and the one that got the turn of the failed one.
    assert len(failing.asked) <= 4
    assert failing.cancelled == len(failing.asked) - 2


async def test_a_cancelled_caller_requests_no_further_parts(objects: ObjectStore) -> None:
    await objects.put(KEY, b"content")
    entered, applications = asyncio.Event(), Serve(objects, Printed(100, 0))
    read = applications.read

    async def held(request: ReadingRequest) -> ReadingResponse:
        if request.pages is not None:
            entered.set()
            await asyncio.Event().wait()
        return await read(request)

    applications.read = held  # type: ignore[method-assign]
    async with asyncio.timeout(60):
        reading = asyncio.create_task(client_of(applications).read(KEY, EVERYTHING))
        await entered.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert sum(applications.asked) == 1
