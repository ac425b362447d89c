"""The API's configurations become requests, and what was found is counted."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.applications.requests import ReadingRequest, count_fields, first_pages_request, reading_request
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


SCALAR = {"label": "total", "value": "1.00", "confidence": 0.9, "page": 0, "source": "model"}
MISSING = {"label": "due", "value": None, "confidence": 0.8}
LINES = {"label": "items", "value": [[SCALAR, MISSING], [SCALAR, SCALAR]]}
CELL = {"value": "x", "confidence": 0.5}


@pytest.mark.parametrize(
    ("predictions", "fields"),
    [
        ([], 0),
        ([SCALAR, MISSING], 1),
        ([SCALAR, LINES], 4),
        ({}, 0),
        ({"total": [CELL, {"value": None, "confidence": 0.1}]}, 1),
        ({"items": [{"text": [CELL], "confidence": [CELL], "value": [CELL]}]}, 3),
        ({"confidence": [CELL], "value": [CELL], "label": [CELL]}, 3),
    ],
)
def test_fields_are_the_values_that_were_found(predictions: Any, fields: int) -> None:
    assert count_fields(predictions) == fields
