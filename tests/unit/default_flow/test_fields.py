"""Predictions that count, and fields that a person has to look at."""

from __future__ import annotations

from typing import Any

import pytest

from default_flow.fields import best_of_fields, doubtful_fields, thresholds_of, within_bounds
from default_flow.postprocess import endpoints_of, validated_items


def one(label: str, value: Any, confidence: float = 0.9, **members: Any) -> dict[str, Any]:
    return {"label": label, "value": value, "confidence": confidence, **members}


def rows(label: str, *confidences: list[float]) -> dict[str, Any]:
    return {"label": label, "value": [[one("qty", "1", each) for each in row] for row in confidences]}


FORM = {
    "config": {
        "fields": {
            "total": {"type": "amount", "confidenceLevels": {"automated": 0.9, "high": 0.8}},
            "date": {"type": "date"},
        }
    }
}


def test_of_several_candidates_the_most_likely_counts() -> None:
    best = best_of_fields([one("a", "1", 0.2), one("a", "2", 0.7), one("a", None, 0.1), one("b", "3")])
    assert {label: each["value"] for label, each in best.items()} == {"a": "2", "b": "3"}


def test_the_longest_list_of_rows_counts() -> None:
    long, short = rows("lines", [0.5], [0.6]), rows("lines", [0.99])
    assert best_of_fields([short, long]) == {"lines": long}


def test_thresholds_are_those_of_the_form() -> None:
    assert thresholds_of(FORM) == {"total": 0.9, "date": 0.95}


@pytest.mark.parametrize(
    ("predictions", "doubtful"),
    [
        ([one("total", "1", 0.9), one("date", None, 0.96)], []),
        ([one("total", "1", 0.89), one("date", None, 0.96)], ["total"]),
        ([one("total", "1", 0.95)], ["date"]),
        ([one("total", "1"), one("date", "2", 0.2), one("date", "3", 0.97), one("other", "4", 0.1)], []),
        ([], ["total", "date"]),
    ],
)
def test_a_person_looks_at_what_is_missing_or_unsure(
    predictions: list[dict[str, Any]], doubtful: list[str]
) -> None:
    assert doubtful_fields(predictions, thresholds_of(FORM)) == doubtful


@pytest.mark.parametrize(
    ("prediction", "doubtful"),
    [
        (rows("lines", [0.96, 0.99], [0.97]), []),
        (rows("lines", [0.96], [0.94]), ["lines"]),
        (rows("lines"), []),
    ],
)
def test_of_rows_the_least_likely_cell_decides(prediction: dict[str, Any], doubtful: list[str]) -> None:
    assert doubtful_fields([prediction], {"lines": 0.95}) == doubtful


def test_of_very_many_predictions_the_best_are_passed_on() -> None:
    few = [one("a", "1", 0.5), one("a", "2", 0.6)]
    assert within_bounds(few) == few
    many = [one("a", "x" * 100, number / 5000) for number in range(5000)]
    assert within_bounds(many) == [many[-1]]


def test_the_ground_truth_is_what_was_predicted_or_verified() -> None:
    predictions = [
        one("total", "1.00", 0.8, page=2, location=[0, 0, 1, 1], rawValue="1,00"),
        one("date", "2024-05-01", 0.7, page=0),
        one("name", "Ada", 0.9, page=1),
        {"label": "lines", "page": 0, "value": [[one("qty", "1", 0.9, page=0)]]},
    ]
    verified = {"date": "2024-05-02", "name": "Ada", "iban": None}
    assert validated_items(predictions, verified) == [
        {"label": "date", "value": "2024-05-02", "confidence": 1.0},
        {"label": "iban", "value": None, "confidence": 1.0},
        {
            "label": "lines",
            "value": [[{"label": "qty", "value": "1", "confidence": 0.9, "pages": [0]}]],
        },
        {"label": "name", "value": "Ada", "confidence": 1.0, "pages": [1]},
        {"label": "total", "value": "1.00", "confidence": 0.8, "pages": [2]},
    ]
    assert validated_items([], None) == []


@pytest.mark.parametrize(
    ("environment", "urls"),
    [
        ({}, []),
        ({"WEBHOOK_URI": "https://a"}, ["https://a"]),
        ({"WEBHOOK_ENDPOINTS": "https://a, https://b\nhttps://c"}, ["https://a", "https://b", "https://c"]),
        ({"WEBHOOK_ENDPOINTS": '["https://a"]', "WEBHOOK_URI": "https://a"}, ["https://a"]),
        ({"WEBHOOK_ENDPOINTS": "", "WEBHOOK_URI": " "}, []),
    ],
)
def test_endpoints_may_be_written_in_several_ways(environment: dict[str, str], urls: list[str]) -> None:
    assert endpoints_of(environment) == urls
