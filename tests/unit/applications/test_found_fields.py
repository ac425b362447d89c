"""Fields that were found are counted, in both formats of predictions."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.applications.found_fields import count_fields

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
