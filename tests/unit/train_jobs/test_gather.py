"""Gathering of examples: snapshots are merged, and documents that are gone are left out."""

from __future__ import annotations

import pytest

from pagemill.applications.requests import ReadingRequest, ReadingResponse
from pagemill.documents.words import DocumentPages, store_pages
from pagemill.errors import BadRequest, DocumentUnreadable, PagemillError, Unavailable
from pagemill.extraction.page_selection import MAX_SELECTED_PAGES
from pagemill.extraction.types import Page, Reading, ReadOptions, Word
from pagemill.objects import ObjectStore
from train_jobs import gather, snapshots
from train_jobs.bundle_dataset import iterate_examples
from train_jobs.gather import ExampleGatherer, first_indexes, gather_examples
from train_jobs.snapshots import ReadableDocument, Snapshot, SnapshotDocument, merge

LOW, HIGH = ReadOptions(), ReadOptions(image_quality="HIGH")


def document(name: str, value: str = "1") -> SnapshotDocument:
    return SnapshotDocument(
        name, f"organizations/o/documents/{name}/content/c", [{"label": "total", "value": value}]
    )


def page(index: int) -> Page:
    return Page(index, 1.0, "text", [Word(f"word{index}", 0.0, 0.0, 1.0, 1.0)])


def test_a_document_in_several_bundles_is_used_as_in_the_newest() -> None:
    older = Snapshot(LOW, [document("a", "old"), document("b")])
    newer = Snapshot(HIGH, [document("a", "new")])
    found = {each.document.document_id: each for each in merge([older, newer])}
    assert set(found) == {"a", "b"}
    assert found["a"] == ReadableDocument(document("a", "new"), HIGH)


def test_a_snapshot_is_decoded_as_it_was_encoded() -> None:
    kept = Snapshot(HIGH, [document("a")])
    assert snapshots.decode(snapshots.encode(kept)) == kept


def stored(number_of_pages: int, *indexes: int) -> DocumentPages:
    return DocumentPages(
        content_key="content", options=LOW, number_of_pages=number_of_pages, indexes=list(indexes)
    )


def test_first_pages_are_none_unless_all_have_been_read() -> None:
    assert first_indexes(stored(3, 0, 1), 2) == [0, 1]
    assert first_indexes(stored(3, 0, 1), 3) is None
    assert first_indexes(stored(2, 0, 1), 3) == [0, 1]
    assert first_indexes(stored(0), 3) is None


class Reads:
    """A reading client that stores the pages of each document that it can read, one page for a request."""

    def __init__(
        self, objects: ObjectStore, error: PagemillError | None = None, *, number_of_pages: int = 1
    ) -> None:
        self.objects, self.error, self.number_of_pages = objects, error, number_of_pages
        self.asked: list[str] = []
        self.read_pages: list[int] = []

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        self.asked.append(request.content_key)
        if self.error is not None:
            raise self.error
        selected = request.pages or list(range(min(self.number_of_pages, request.max_pages)))
        # The first request is answered before the others: only its first page is read.
        part = selected if request.pages else selected[:1]
        self.read_pages += part
        reading = Reading(self.number_of_pages, [page(index) for index in part])
        pages = await store_pages(self.objects, request.content_key, request.options, reading)
        return ReadingResponse(pages=pages, missing=selected[len(part) :], next_page=None)


async def test_cached_words_are_not_read_again(objects: ObjectStore) -> None:
    kept, missing = document("kept"), document("missing")
    await store_pages(objects, kept.content_key, LOW, Reading(1, [page(0)]))
    reads = Reads(objects)
    found = await ExampleGatherer(objects, reads, 30).gather(
        [ReadableDocument(kept, LOW), ReadableDocument(missing, LOW)]
    )
    assert [example.document_id for example in found] == ["kept", "missing"]
    assert reads.asked == [missing.content_key]
    assert found[0].pages == [page(0)]
    await gather.write_dataset(objects, "examples/", found)
    assert [example async for example in iterate_examples(objects, ["examples/"])] == found


async def test_all_first_pages_of_a_long_document_are_read(objects: ObjectStore) -> None:
    reads = Reads(objects, number_of_pages=40)
    (found,) = await ExampleGatherer(objects, reads, 30).gather([ReadableDocument(document("a"), LOW)])
    assert found.pages == [page(index) for index in range(30)]
    assert sorted(reads.read_pages) == list(range(30))


async def test_a_selection_has_an_end_whatever_is_set(objects: ObjectStore) -> None:
    reads = Reads(objects, number_of_pages=MAX_SELECTED_PAGES + 50)
    (found,) = await ExampleGatherer(objects, reads, 1000).gather([ReadableDocument(document("a"), LOW)])
    assert len(found.pages) == MAX_SELECTED_PAGES


async def test_a_damaged_page_is_read_again(objects: ObjectStore) -> None:
    kept = document("kept")
    await store_pages(objects, kept.content_key, LOW, Reading(1, [page(0)]))
    (key,) = [key async for key in objects.list("organizations/o/documents/kept/words/")]
    await objects.put(key, b"")
    reads = Reads(objects)
    (found,) = await ExampleGatherer(objects, reads, 30).gather([ReadableDocument(kept, LOW)])
    assert (found.pages, reads.asked) == ([page(0)], [kept.content_key])


async def test_a_document_that_cannot_be_read_is_left_out(objects: ObjectStore) -> None:
    gathering = ExampleGatherer(objects, Reads(objects, DocumentUnreadable("damaged")), 30)
    assert await gathering.gather([ReadableDocument(document("a"), LOW)]) == []


async def test_unavailable_is_raised(objects: ObjectStore) -> None:
    gathering = ExampleGatherer(objects, Reads(objects, Unavailable("away")), 30)
    with pytest.raises(Unavailable):
        await gathering.gather([ReadableDocument(document(name), LOW) for name in "abc"])


async def put_snapshot(objects: ObjectStore, key: str, *documents: SnapshotDocument) -> str:
    await objects.put(key, snapshots.encode(Snapshot(LOW, list(documents))))
    return key


async def test_examples_come_from_several_snapshots(objects: ObjectStore) -> None:
    keys = [
        await put_snapshot(objects, "organizations/o/data-bundles/old.json", document("a", "old")),
        await put_snapshot(objects, "organizations/o/data-bundles/new.json", document("a", "new")),
    ]
    found = await gather_examples(objects, Reads(objects), keys, pages_per_document=30)
    assert [example.ground_truth for example in found] == [[{"label": "total", "value": "new"}]]


@pytest.mark.parametrize("error", [None, DocumentUnreadable("damaged")])
async def test_a_training_without_labelled_documents_is_refused(
    objects: ObjectStore, error: PagemillError | None
) -> None:
    """No document is labelled, or none can be read."""
    labelled = [] if error is None else [{"label": "total", "value": "1"}]
    unlabelled = SnapshotDocument("a", "organizations/o/documents/a/content/c", labelled)
    keys = [await put_snapshot(objects, "organizations/o/data-bundles/b.json", unlabelled)]
    with pytest.raises(BadRequest, match="no document can be read and has ground truth"):
        await gather_examples(objects, Reads(objects, error), keys, pages_per_document=30)
