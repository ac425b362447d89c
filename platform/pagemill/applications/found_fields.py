"""Predictions as the API shows them, and the number of fields in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Predictions: TypeAlias = list[dict[str, Any]] | dict[str, list[Any]]


def count_fields(predictions: Predictions) -> int:
    """Return the number of values found: scalars that are not null, and such cells of rows."""
    if isinstance(predictions, dict):
        return sum(_candidate_fields(candidate) for found in predictions.values() for candidate in found)
    return sum(_item_fields(item) for item in predictions)


def _item_fields(item: Mapping[str, Any]) -> int:
    value = item.get("value")
    if isinstance(value, list):
        return sum(_item_fields(cell) for row in value for cell in row)
    return int(value is not None)


def _candidate_fields(candidate: Mapping[str, Any]) -> int:
    """Count a candidate: a scalar has a confidence; members of a row are lists of a column's candidates."""
    if isinstance(candidate.get("confidence"), int | float):
        return int(candidate.get("value") is not None)
    return sum(_item_fields(cell) for column in candidate.values() for cell in column)
