"""The evaluation of a training as the API shows it, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pagemill.extraction.evaluation import (
    Judged,
    JudgedDocument,
    automation,
    automation_curve,
    calibration_curve,
    calibration_error,
    field_measures,
)

MAXIMUM_WRONG_DOCUMENTS = 100
MAXIMUM_CONFUSIONS = 100
DIGITS = 6
"""An evaluation is read by people, and goes in lists of trainings."""


def evaluation_report(
    documents: Sequence[JudgedDocument],
    labels: Sequence[str],
    examples: Mapping[str, int],
    unlocated: Mapping[str, int],
) -> dict[str, Any]:
    """Return the measures of each label and of all, from the judgements of held-out documents.

    ``examples`` counts the values that were learned from, ``unlocated`` those that were not found on a page.
    """
    judged = [item for document in documents for item in document.scalars]
    measures = field_measures(judged, [document.rows for document in documents], labels)
    expected = [item for item in judged if item.expected]
    report = {
        "fields": {
            label: {
                **measures[label],
                "numberOfExamples": examples.get(label, 0),
                "numberOfUnlocated": unlocated.get(label, 0),
                **_of_field(label, documents),
            }
            for label in labels
        },
        "accuracy": sum(item.correct for item in expected) / len(expected) if expected else 0.0,
        "numberOfDocuments": len(documents),
        **_curves(judged),
    }
    return {name: _rounded(value) for name, value in report.items()}


def _of_field(label: str, documents: Sequence[JudgedDocument]) -> dict[str, Any]:
    """Return the support of a field, its curves, its confusions, and the documents it gets wrong."""
    own = [item for document in documents for item in document.scalars if item.label == label]
    rows = [document.rows[label] for document in documents if label in document.rows]
    found: dict[str, Any] = {
        "support": sum(item.expected for item in own) + sum(counts[2] for counts in rows),
        "wrongDocuments": wrong_documents(label, documents)[:MAXIMUM_WRONG_DOCUMENTS],
    }
    if own:
        found |= _curves(own)
    classes = Counter(item.classes for item in own if item.classes is not None)
    if classes:
        found["confusion"] = [
            {"expected": expected, "found": value, "count": count}
            for (expected, value), count in classes.most_common(MAXIMUM_CONFUSIONS)
        ]
    return found


def wrong_documents(label: str, documents: Sequence[JudgedDocument]) -> list[str]:
    """Return the documents of which a field is not right, those where it is surest first."""
    wrong: list[tuple[float, str]] = []
    for document in documents:
        scalars = [item for item in document.scalars if item.label == label and not item.correct]
        correct, found, expected = document.rows.get(label, (0, 0, 0))
        if scalars or not correct == found == expected:
            wrong.append(
                (-max((item.confidence or 0.0 for item in scalars), default=0.0), document.document_id)
            )
    return [document_id for _, document_id in sorted(wrong)]


def _curves(judged: Sequence[Judged]) -> dict[str, Any]:
    return {
        "calibration": {
            "expectedCalibrationError": calibration_error(judged),
            "curve": calibration_curve(judged),
        },
        "automation": {**automation(judged), "curve": automation_curve(judged)},
    }


def _rounded(value: Any) -> Any:
    """Return a value whose numbers have few digits."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
