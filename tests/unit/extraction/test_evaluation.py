"""Judging: what counts as right, how sure is sure, and what could be done without a human."""

from __future__ import annotations

import random

import pytest

from pagemill.extraction.evaluation import (
    Judged,
    automation,
    automation_curve,
    best_fields,
    calibration_curve,
    calibration_error,
    field_measures,
    fit_calibration,
    judge_rows,
    judge_scalars,
)
from pagemill.extraction.inference import calibrated
from pagemill.extraction.preparation import Truth
from pagemill.extraction.tagger_configuration import NetworkShape, TaggerConfiguration
from pagemill.extraction.types import Extracted, Field, Lines

CONFIGURATION = TaggerConfiguration(
    NetworkShape(7, 2, 4),
    {"total": {"type": "amount"}, "name": {"type": "string"}},
    {"items": {"name": {"type": "string"}, "price": {"type": "amount"}}},
    {},
    {},
)


def truth(**scalars: list[str]) -> Truth:
    return Truth(scalars, {}, {})


def judged(label: str, correct: bool, confidence: float | None, *, expected: bool = True) -> Judged:
    return Judged(label, expected, correct, correct, confidence)


def test_the_most_confident_value_of_all_pages_counts() -> None:
    extracted: list[Extracted] = [
        Field("total", "8.00", 0.5, page=0),
        Field("total", "9.00", 0.8, page=1),
        Field("name", None, 1.0),
    ]
    assert {label: field.value for label, field in best_fields(extracted).items()} == {"total": "9.00"}


@pytest.mark.parametrize(
    ("values", "found", "expected"),
    [
        (["RM 9"], "9.00", Judged("total", True, True, False, 0.9)),
        (["9.00"], "9.00", Judged("total", True, True, True, 0.9)),
        (["8.00", "9.00"], "9.00", Judged("total", True, True, True, 0.9)),
        (["8.00"], "9.00", Judged("total", True, False, False, 0.9)),
        ([], "9.00", Judged("total", False, False, False, 0.9)),
        (["8.00"], None, Judged("total", True, False, False, None)),
    ],
)
def test_scalars(values: list[str], found: str | None, expected: Judged) -> None:
    extracted: list[Extracted] = [Field("total", found, 0.9, found)]
    assert judge_scalars(extracted, truth(total=values), CONFIGURATION) == [expected]


def test_a_null_that_is_found_to_be_nothing_is_not_counted() -> None:
    assert judge_scalars([Field("total", None, 0.9)], truth(total=[]), CONFIGURATION) == []


def test_labels_that_the_truth_does_not_speak_of_are_not_judged() -> None:
    assert judge_scalars([Field("total", "9.00", 0.9)], truth(), CONFIGURATION) == []


def test_a_row_is_right_when_all_its_cells_are_and_counts_once() -> None:
    tea = [Field("name", "Tea", 0.9), Field("price", "4.00", 0.9)]
    extracted: list[Extracted] = [Lines("items", [tea, [Field("name", "Milk", 0.9)]])]
    rows = [
        [("name", "TEA", []), ("price", "4", [])],
        [("name", "Tea", []), ("price", "4.00", [])],
        [("name", "Milk", []), ("price", "2.00", [])],
    ]
    known = Truth({}, {"items": rows}, {})
    assert judge_rows(extracted, known, CONFIGURATION) == {"items": (1, 2, 3)}
    assert judge_rows([], known, CONFIGURATION) == {"items": (0, 0, 3)}
    assert judge_rows(extracted, truth(), CONFIGURATION) == {}


def test_measures() -> None:
    sample = [
        judged("total", True, 0.9),
        judged("total", False, 0.8),
        judged("total", False, None),
        judged("total", False, 0.7, expected=False),
    ]
    measures = field_measures(sample, [{"items": (1, 2, 4)}], ["total", "items", "other"])
    assert measures["total"] == pytest.approx(
        {"accuracy": 1 / 3, "precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3, "exactMatch": 1 / 3}
    )
    assert measures["items"]["f1"] == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert set(measures["other"].values()) == {0.0}


def test_calibration_learns_that_the_network_is_too_sure() -> None:
    chance = random.Random(3)
    sample = [judged("total", chance.random() < 0.7, 0.99) for _ in range(400)]
    calibration = fit_calibration(sample, ["total", "name"])
    assert calibrated(0.99, calibration["total"]) == pytest.approx(0.7, abs=0.06)
    settled = [
        Judged(one.label, one.expected, one.correct, one.exact, calibrated(0.99, calibration["total"]))
        for one in sample
    ]
    assert calibration_error(settled) < 0.06 < 0.2 < calibration_error(sample)


def test_calibration_keeps_the_order_of_confidences() -> None:
    chance = random.Random(4)
    sample = [
        judged("total", chance.random() < confidence**3, confidence)
        for confidence in (chance.random() for _ in range(300))
    ]
    calibration = fit_calibration(sample, ["total"])["total"]
    scores = [calibrated(confidence / 20, calibration) for confidence in range(21)]
    assert scores == sorted(scores)
    assert all(0 < score < 1 for score in scores)


def test_a_few_values_calibrate_nothing() -> None:
    assert fit_calibration([judged("total", True, 0.9)] * 5, ["total"]) == {}
    assert calibration_error([]) == 0.0


def test_automation_is_what_passes_the_threshold() -> None:
    sample = [judged("total", True, 0.9)] * 19 + [judged("total", False, 0.5)] * 19
    found = automation([*sample, judged("total", False, None)])
    assert found == pytest.approx({"threshold": 0.9, "rate": 19 / 39, "precision": 1.0})
    assert automation([judged("total", False, 0.9)]) == {"threshold": 1.0, "rate": 0.0, "precision": 1.0}
    assert automation([])["rate"] == 0.0


def test_values_of_one_confidence_pass_together() -> None:
    sample = [judged("total", True, 0.9)] * 19 + [judged("total", False, 0.9)] * 19
    assert automation(sample)["rate"] == 0.0


def test_curves_leave_out_what_has_no_values() -> None:
    sample = [judged("total", True, 0.95), judged("total", False, 0.91), judged("total", False, None)]
    assert calibration_curve(sample) == [{"confidence": pytest.approx(0.93), "accuracy": 0.5, "count": 2}]
    by_threshold = {one["threshold"]: (one["rate"], one["precision"]) for one in automation_curve(sample)}
    assert by_threshold[0.0] == by_threshold[0.9] == pytest.approx((2 / 3, 0.5))
    assert by_threshold[0.95] == pytest.approx((1 / 3, 1.0))
    assert max(by_threshold) == 0.95
    assert calibration_curve([]) == automation_curve([]) == []


@pytest.mark.parametrize(
    ("values", "found", "classes"),
    [
        (["invoice"], "INVOICE", ("INVOICE", "INVOICE")),
        (["INVOICE"], "RECEIPT", ("INVOICE", "RECEIPT")),
        (["INVOICE"], None, ("INVOICE", None)),
        ([], "RECEIPT", (None, "RECEIPT")),
    ],
)
def test_the_classes_of_an_enum_are_kept(
    values: list[str], found: str | None, classes: tuple[str | None, str | None]
) -> None:
    definition = {"kind": {"type": "enum", "enum": ["INVOICE", "RECEIPT"]}}
    configuration = TaggerConfiguration(NetworkShape(3, 1, 4), definition, {}, {}, {})
    (one,) = judge_scalars([Field("kind", found, 0.9, found)], truth(kind=values), configuration)
    assert one.classes == classes
