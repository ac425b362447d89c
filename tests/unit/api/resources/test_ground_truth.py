"""Valid and invalid ground truth."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pagemill.api.resources.ground_truth import (
    MAXIMUM_DEPTH,
    MAXIMUM_VALUES,
    GroundTruthItem,
    checked_ground_truth,
)
from pagemill.documents.labels import GroundTruth
from pagemill.errors import BadRequest


def check(items: list[dict[str, Any]]) -> GroundTruth:
    return checked_ground_truth(msgspec.convert(items, list[GroundTruthItem]))


def test_every_kind_of_value_is_kept_as_sent() -> None:
    items: list[dict[str, Any]] = [
        {"label": "text", "value": "Tea", "pages": [0, 1], "confidence": 0.5},
        {"label": "nothing", "value": None},
        {"label": "flag", "value": False},
        {"label": "number", "value": 2},
        {"label": "amount", "value": 2.5},
        {"label": "group", "value": [{"label": "inner", "value": "x"}]},
        {"label": "lines", "value": [[{"label": "text", "value": "Tea"}, {"label": "qty", "value": 2}], []]},
    ]
    assert check(items) == items


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("x" * 1025, "groundTruth[0].value"),
        (["Tea"], "groundTruth[0].value[0]"),
        ([{"label": "a"}], "groundTruth[0].value[0]"),
        ([[{"label": "a", "value": 1, "page": 0}]], "groundTruth[0].value[0][0]"),
        ([[{"label": "a b", "value": 1}]], "groundTruth[0].value[0][0].label"),
        ([[{"label": "a\n", "value": 1}]], "groundTruth[0].value[0][0].label"),
        ([[{"label": "a", "value": "x" * 1025}]], "groundTruth[0].value[0][0].value"),
        ([[{"label": "a", "value": {}}]], "groundTruth[0].value[0][0].value"),
        ([[{"label": "a", "value": 1, "pages": list(range(11))}]], "groundTruth[0].value[0][0].pages"),
        ([[{"label": "a", "value": 1, "pages": [True]}]], "groundTruth[0].value[0][0].pages"),
        ([[{"label": "a", "value": 1, "confidence": 2}]], "groundTruth[0].value[0][0].confidence"),
    ],
)
def test_the_place_of_an_error_is_named(value: Any, place: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check([{"label": "lines", "value": value}])
    assert refused.value.message.startswith(f"{place}:")


def test_a_line_break_after_a_label_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"groundTruth\[0\]\.label"):
        check([{"label": "total\n", "value": 1}])


def test_depth_and_number_are_bounded() -> None:
    nested: Any = "x"
    for _ in range(MAXIMUM_DEPTH + 1):
        nested = [{"label": "a", "value": nested}]
    with pytest.raises(BadRequest, match="nested too deeply"):
        check([{"label": "a", "value": nested}])
    with pytest.raises(BadRequest, match="must not have more"):
        check([{"label": "a", "value": [[] for _ in range(MAXIMUM_VALUES)]}])
