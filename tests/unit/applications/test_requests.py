"""The API's configurations become requests."""

from __future__ import annotations

from pagemill.applications.requests import ReadingRequest, first_pages_request, reading_request
from pagemill.extraction.types import ReadOptions


def test_a_range_of_pages_and_how_to_read_them() -> None:
    config = {"imageQuality": "HIGH", "autoRotate": True, "rotation": 90, "maxPages": 5, "startPage": 2}
    assert reading_request("k", config) == ReadingRequest(
        content_key="k", start_page=2, max_pages=5, rotation=90, auto_rotate=True, image_quality="HIGH"
    )


def test_explicit_pages() -> None:
    request = reading_request("k", {"imageQuality": "LOW", "autoRotate": False, "pages": [0, -1]})
    assert (request.pages, request.options) == ([0, -1], ReadOptions())


def test_first_pages_come_back_without_words() -> None:
    request = first_pages_request("k", ReadOptions(rotation=180), 30)
    assert (request.max_pages, request.with_words, request.options.rotation) == (30, False, 180)
