"""The evaluation of a training names what each field gets wrong, and how sure it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from pagemill.extraction.evaluation import Judged, JudgedDocument
from pagemill.extraction.evaluation_report import MAXIMUM_WRONG_DOCUMENTS, evaluation_report, wrong_documents


def scalar(label: str, correct: bool, confidence: float | None, *classes: str | None) -> Judged:
    kept = (classes[0], classes[1]) if classes else None
    return Judged(label, True, correct, correct, confidence, kept)


DOCUMENTS = [
    JudgedDocument(
        "a", [scalar("total", True, 0.9), scalar("kind", True, 0.9, "X", "X")], {"rows": (2, 2, 2)}
    ),
    JudgedDocument(
        "b", [scalar("total", False, 0.4), scalar("kind", False, 0.7, "X", "Y")], {"rows": (1, 2, 2)}
    ),
    JudgedDocument(
        "c", [scalar("total", False, 0.8), scalar("kind", True, 0.6, "X", "X")], {"rows": (1, 2, 1)}
    ),
    JudgedDocument("d", [scalar("total", False, None)], {}),
]


def report(documents: list[JudgedDocument]) -> dict[str, Any]:
    return evaluation_report(documents, ["total", "kind", "rows"], {"total": 9}, {"total": 1})


def test_documents_that_a_field_gets_wrong_are_named_the_surest_first() -> None:
    assert wrong_documents("total", DOCUMENTS) == ["c", "b", "d"]
    assert wrong_documents("kind", DOCUMENTS) == ["b"]
    assert wrong_documents("rows", DOCUMENTS) == ["b", "c"]
    many = [JudgedDocument(str(one), [scalar("total", False, 0.5)], {}) for one in range(150)]
    assert len(report(many)["fields"]["total"]["wrongDocuments"]) == MAXIMUM_WRONG_DOCUMENTS


def test_each_field_has_its_measures_support_and_curves() -> None:
    found = report(DOCUMENTS)
    total, kind, rows = (found["fields"][label] for label in ("total", "kind", "rows"))
    assert (total["support"], total["numberOfExamples"], total["numberOfUnlocated"]) == (4, 9, 1)
    assert (total["recall"], total["precision"]) == (0.25, round(1 / 3, 6))
    assert (rows["support"], rows["numberOfExamples"]) == (5, 0)
    assert sum(one["count"] for one in total["calibration"]["curve"]) == 3
    assert total["automation"]["curve"][0] == {"threshold": 0.0, "rate": 0.75, "precision": round(1 / 3, 6)}
    assert kind["confusion"] == [
        {"expected": "X", "found": "X", "count": 2},
        {"expected": "X", "found": "Y", "count": 1},
    ]
    assert "confusion" not in total
    assert "calibration" not in rows


def test_all_fields_together() -> None:
    found = report(DOCUMENTS)
    assert (found["numberOfDocuments"], found["accuracy"]) == (4, round(3 / 7, 6))
    assert 0 < found["calibration"]["expectedCalibrationError"] < 1
    assert found["automation"]["threshold"] == 0.9
    assert json.loads(msgspec.json.encode(found)) == found


def test_without_documents_there_is_nothing_to_tell() -> None:
    found = report([])
    assert (found["accuracy"], found["numberOfDocuments"]) == (0.0, 0)
    assert found["fields"]["total"]["support"] == 0
