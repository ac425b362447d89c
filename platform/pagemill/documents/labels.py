"""Labels in the ground truth of documents, as datasets count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

GroundTruth: TypeAlias = list[dict[str, Any]]


def label_counts(ground_truth: GroundTruth | None) -> Counter[str]:
    """Return the number of values of each label; a nested label counts as ``lines.column``."""
    return Counter(_labels(ground_truth or [], ""))


def difference(after: Counter[str], before: Counter[str]) -> dict[str, int]:
    """Return the numbers to add to a summary that has counted ``before``, without zeros."""
    return {label: after[label] - before[label] for label in after | before if after[label] != before[label]}


def _labels(items: list[Any], prefix: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, list):
            yield from _labels(item, prefix)
            continue
        label = prefix + item["label"]
        yield label
        if isinstance(item["value"], list):
            yield from _labels(item["value"], f"{label}.")
