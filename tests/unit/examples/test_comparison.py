"""What the demo counts as right."""

from __future__ import annotations

from typing import Any

import pytest

from examples.demo.comparison import compare, same

CONFIG: dict[str, Any] = {
    "supplier": {"type": "string"},
    "total": {"type": "amount"},
    "items": {"type": "lines", "fields": {"text": {"type": "string"}, "amount": {"type": "amount"}}},
}


def found(label: str, value: Any, confidence: float = 0.9) -> dict[str, Any]:
    return {"label": label, "value": value, "confidence": confidence, "page": 0}


def row(text: str, amount: str) -> list[dict[str, Any]]:
    return [found("text", text), found("amount", amount)]


@pytest.mark.parametrize(
    ("kind", "predicted", "truth", "expected"),
    [
        ("string", "Elm  Bridge ltd", "Elm Bridge Ltd", True),
        ("string", "Elm Bridge", "Elm Bridge Ltd", False),
        ("date", "2024-03-01", "2024-03-01", True),
        ("date", "2024-03-01", "2024-01-03", False),
        ("date", "soon", "soon", False),
        ("amount", "10.5", "10.50", True),
        ("amount", "-10.50", "10.50", False),
        ("amount", "ten", "ten", False),
        ("enum", "EUR", "eur", True),
        ("string", None, "x", False),
        ("string", "x", None, False),
        ("string", None, None, True),
    ],
)
def test_same(kind: str, predicted: str | None, truth: str | None, expected: bool) -> None:
    assert same(kind, predicted, truth) is expected


def test_the_most_confident_candidate_counts() -> None:
    predictions = [found("total", "1.00", 0.3), found("total", "2.00", 0.8), found("total", None, 0.9)]

    [compared] = compare(predictions, [{"label": "total", "value": "2.00"}], CONFIG)

    assert (compared.predicted, compared.right, compared.confidence) == ("2.00", True, 0.8)


def test_a_value_that_is_missing_is_wrong_and_so_is_one_too_many() -> None:
    truth = [{"label": "total", "value": "2.00"}, {"label": "supplier", "value": None}]

    compared = compare([found("supplier", "Elm")], truth, CONFIG)

    assert [(item.label, item.right) for item in compared] == [("total", False), ("supplier", False)]


def test_nothing_predicted_where_nothing_is_printed_does_not_count_at_all() -> None:
    assert compare([found("supplier", None)], [{"label": "supplier", "value": None}], CONFIG) == []


def test_each_cell_of_each_row_is_a_field() -> None:
    truth = [{"label": "items", "value": [row("Tea", "1.00"), row("Salt", "2.00")]}]
    predictions = [{"label": "items", "value": [row("Tea", "1.00"), row("Salt", "9.00")], "page": 0}]

    compared = compare(predictions, truth, CONFIG)

    assert [(item.label, item.right) for item in compared] == [
        ("items[0].text", True),
        ("items[0].amount", True),
        ("items[1].text", True),
        ("items[1].amount", False),
    ]


@pytest.mark.parametrize(("predicted_rows", "true_rows"), [(1, 2), (2, 1)])
def test_a_row_too_few_or_too_many_costs_its_cells(predicted_rows: int, true_rows: int) -> None:
    truth = [{"label": "items", "value": [row("Tea", "1.00")] * true_rows}]
    predictions = [{"label": "items", "value": [row("Tea", "1.00")] * predicted_rows}]

    compared = compare(predictions, truth, CONFIG)

    assert [item.right for item in compared] == [True, True, False, False]
