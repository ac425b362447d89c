"""Metrics of pages: by source and lane, and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pagemill.applications.requests import ReadingRequest, first_pages_request
from pagemill.extraction.types import Page, Reading, ReadOptions
from pagemill.objects.local import LocalObjectStore
from serve_apps import reading_metrics
from serve_apps.reading import CachedReading
from serve_apps.reading_lane import ReadingLane
from tests.support.ray_metrics import recorded

KEY = "organizations/o/documents/d/content"


class Mixed:
    """A reader of documents of three pages; the second one is a picture."""

    def read(self, _content: bytes, page_indexes: Sequence[int], _options: ReadOptions) -> Reading:
        pages = [Page(index, 1.0, "ocr" if index == 1 else "text", []) for index in page_indexes if index < 3]
        return Reading(3, pages)


async def test_pages_are_counted_by_where_their_words_are_from(tmp_path: Path) -> None:
    with recorded(reading_metrics) as metrics:
        observer = reading_metrics.ReadingMetrics()
    objects = LocalObjectStore(tmp_path)
    lanes = ReadingLane(Mixed(), at_once=1), ReadingLane(Mixed(), at_once=1, in_background=True)
    reading = CachedReading(objects, *lanes, observer)
    await objects.put(KEY, b"content")

    await reading.read(first_pages_request(KEY, ReadOptions(), 2))
    assert metrics["pages_read"].values == {
        ("text_layer", "background"): [1.0],
        ("recognised", "background"): [1.0],
    }
    await reading.read(ReadingRequest(content_key=KEY, max_pages=3))

    assert metrics["pages_read"].values == {
        ("text_layer", "background"): [1.0],
        ("recognised", "background"): [1.0],
        ("stored", "interactive"): [2.0],
        ("text_layer", "interactive"): [1.0],
    }
    assert {lane: len(seconds) for lane, seconds in metrics["page_seconds"].values.items()} == {
        ("background",): 2,
        ("interactive",): 1,
    }


def test_batches_are_shown_by_their_size() -> None:
    with recorded(reading_metrics) as metrics:
        observer = reading_metrics.ReadingMetrics()
    observer.recognised(6)
    assert metrics["recognition_batch_size"].values == {(): [6.0]}
