"""Predicted fields: the best candidate of each, and whether a person has to look at it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Prediction: TypeAlias = dict[str, Any]
"""A predicted value as ``POST /predictions`` returns it in its first format."""

AUTOMATED = "automated"
DEFAULT_THRESHOLD = 0.95
MOST_BYTES = 200_000
"""Predictions that a step passes on: its whole output may have 256 KiB."""


def best_of_fields(predictions: Iterable[Prediction]) -> dict[str, Prediction]:
    """Return the candidate of each field that is most likely right; of rows the longest list."""
    best: dict[str, Prediction] = {}
    for one in predictions:
        before = best.get(one["label"])
        if before is None or _rank(one) > _rank(before):
            best[one["label"]] = one
    return best


def thresholds_of(form_config: Mapping[str, Any]) -> dict[str, float]:
    """Return for each field of a form the confidence from which nobody has to look at it."""
    fields = form_config["config"]["fields"]
    return {
        label: float(field.get("confidenceLevels", {}).get(AUTOMATED, DEFAULT_THRESHOLD))
        for label, field in fields.items()
    }


def doubtful_fields(predictions: Sequence[Prediction], thresholds: Mapping[str, float]) -> list[str]:
    """Return the fields of a form that have no prediction, or one below their threshold."""
    best = best_of_fields(predictions)
    return [
        label
        for label, threshold in thresholds.items()
        if label not in best or lowest_confidence(best[label]) < threshold
    ]


def lowest_confidence(prediction: Prediction) -> float:
    """Return the confidence of a prediction; of rows that of their least likely cell, 1 without any."""
    if isinstance(prediction["value"], list):
        return min((cell["confidence"] for cell in _cells(prediction)), default=1.0)
    return float(prediction["confidence"])


def within_bounds(predictions: list[Prediction]) -> list[Prediction]:
    """Return the predictions; of very many the best one of each field."""
    if len(json.dumps(predictions)) <= MOST_BYTES:
        return predictions
    return list(best_of_fields(predictions).values())


def _rank(prediction: Prediction) -> tuple[int, float]:
    rows = len(prediction["value"]) if isinstance(prediction["value"], list) else 0
    return rows, lowest_confidence(prediction)


def _cells(prediction: Prediction) -> Iterator[Prediction]:
    for row in prediction["value"]:
        yield from row
