"""The API's configurations become requests."""

from __future__ import annotations

import pytest

from pagemill.applications.requests import (
    PART_PAGES,
    ReadingRequest,
    first_pages_request,
    missing_pages_requests,
    reading_request,
)
from pagemill.extraction.types import ReadOptions


def test_a_range_of_pages_and_how_to_read_them() -> None:
    config = {"imageQuality": "HIGH", "autoRotate": True, "rotation": 90, "maxPages": 5, "startPage": 2}
    assert reading_request("k", config) == ReadingRequest(
        content_key="k", start_page=2, max_pages=5, rotation=90, auto_rotate=True, image_quality="HIGH"
    )


def test_explicit_pages() -> None:
    request = reading_request("k", {"imageQuality": "LOW", "autoRotate": False, "pages": [0, -1]})
    assert (request.pages, request.options) == ([0, -1], ReadOptions())


def test_first_pages_are_read_in_the_background() -> None:
    request = first_pages_request("k", ReadOptions(rotation=180), 30)
    assert (request.max_pages, request.in_background, request.options.rotation) == (30, True, 180)


@pytest.mark.parametrize("number", [0, 1, PART_PAGES, PART_PAGES + 1, 100])
def test_missing_pages_are_requested_in_parts_read_in_the_same_way(number: int) -> None:
    request = reading_request("k", {"imageQuality": "HIGH", "rotation": 90, "maxPages": 100, "startPage": 7})
    missing = list(range(7, 7 + number))
    parts = missing_pages_requests(request, missing)
    assert [index for part in parts for index in part.pages or ()] == missing
    assert all(1 <= len(part.pages or ()) <= PART_PAGES for part in parts)
    assert all(part.options == request.options for part in parts)
    assert all(part.content_key == "k" for part in parts)
