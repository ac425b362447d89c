"""Metrics of a reading replica, exported by Ray as ``ray_pagemill_*``."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Sequence

from ray.util.metrics import Counter, Histogram

from pagemill.extraction.types import Page

SOURCE, LANE = "source", "lane"
STORED = "stored"
SOURCES = {"text": "text_layer", "ocr": "recognised"}
"""Sources of pages that are read, by that of their words."""
PAGE_SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
BATCH_LINES = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]


class ReadingMetrics:
    """Counts of a replica. A ``lane`` is interactive or background."""

    def __init__(self) -> None:
        self._pages = Counter("pagemill_pages_read", "Pages, by where their words are from.", (SOURCE, LANE))
        self._seconds = Histogram(
            "pagemill_page_seconds",
            "Seconds of a page that was read: a share of those of its part.",
            PAGE_SECONDS,
            (LANE,),
        )
        self._batches = Histogram(
            "pagemill_recognition_batch_size", "Lines that were recognised together.", BATCH_LINES
        )

    def read(self, pages: Sequence[Page], seconds: float, lane: str) -> None:
        """Count the pages of a part that was read in some seconds."""
        for source, number in Counts(page.source for page in pages).items():
            self._pages.inc(number, {SOURCE: SOURCES[source], LANE: lane})
        for _ in pages:
            self._seconds.observe(seconds / len(pages), {LANE: lane})

    def found(self, pages: int, lane: str) -> None:
        """Count pages whose words were stored."""
        if pages > 0:
            self._pages.inc(pages, {SOURCE: STORED, LANE: lane})

    def recognised(self, lines: int) -> None:
        """Count a batch of lines."""
        self._batches.observe(lines)
