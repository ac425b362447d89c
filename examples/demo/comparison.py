"""Comparison of predicted fields with the truth. Every cell of a line item is a field of its own."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Compared:
    """One field: its predicted and its true value (None: nothing)."""

    label: str
    predicted: str | None
    truth: str | None
    confidence: float | None
    right: bool


def compare(
    predictions: Sequence[Values], ground_truth: Sequence[Values], field_config: Values
) -> list[Compared]:
    """Return all fields of the document, and those that were predicted although it does not have them.

    Rows are compared in their order, so that a missing row costs the ones behind it too.
    """
    compared: list[Compared] = []
    for item in ground_truth:
        label, kind = item["label"], field_config[item["label"]]["type"]
        if kind == "lines":
            compared += _compare_rows(label, predictions, item["value"], field_config[label]["fields"])
            continue
        best = max(
            (found for found in predictions if found["label"] == label and found["value"] is not None),
            key=lambda found: float(found["confidence"]),
            default=None,
        )
        if best is not None or item["value"] is not None:
            compared.append(_compare(label, kind, best, item["value"]))
    return compared


def same(kind: str, predicted: str | None, truth: str | None) -> bool:
    """Return whether values are equal: dates as dates, amounts as numbers, text without case and spaces."""
    if predicted is None or truth is None:
        return predicted is truth
    if kind == "date":
        return _date(predicted) == _date(truth) is not None
    if kind in ("amount", "numeric"):
        return _number(predicted) == _number(truth) is not None
    return _folded(predicted) == _folded(truth)


def _compare(label: str, kind: str, found: Values | None, truth: str | None) -> Compared:
    predicted = None if found is None else found["value"]
    confidence = None if found is None else float(found["confidence"])
    return Compared(label, predicted, truth, confidence, same(kind, predicted, truth))


def _compare_rows(
    label: str, predictions: Sequence[Values], truth: Sequence[Sequence[Values]], columns: Values
) -> list[Compared]:
    rows = [row for found in predictions if found["label"] == label for row in found["value"]]
    compared = []
    for position in range(max(len(rows), len(truth))):
        predicted = {cell["label"]: cell for cell in rows[position]} if position < len(rows) else {}
        expected = {cell["label"]: cell["value"] for cell in truth[position]} if position < len(truth) else {}
        compared += [
            _compare(f"{label}[{position}].{name}", column["type"], predicted.get(name), expected.get(name))
            for name, column in columns.items()
            if name in predicted or name in expected
        ]
    return compared


def _folded(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
