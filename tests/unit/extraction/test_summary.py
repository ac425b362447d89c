"""The summary follows its formulas, and no ground truth makes it fail."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.summary import SCORES, SummaryDocument, summarise, value_error

TOTAL = {"total": {"type": "amount"}}
ODD = {
    "amount": {"type": "amount"},
    "date": {"type": "date"},
    "digits": {"type": "digits"},
    "enum": {"type": "enum", "enum": ["a", "b"]},
    "numeric": {"type": "numeric"},
    "text": {"type": "string"},
    "lines": {"type": "lines", "fields": {"amount": {"type": "amount"}}},
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["", " ", "\0", "2020-01-01", "10.00", "-", "1e999", "٣", "x" * 1024])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["label", "value", "pages"]), inner, max_size=3)
        | st.fixed_dictionaries({"label": st.sampled_from(list(ODD)), "value": inner})
    ),
    max_leaves=12,
)


def documents(*truths: Any) -> list[SummaryDocument]:
    return [SummaryDocument(f"d{index}", None, truth) for index, truth in enumerate(truths)]


def labelled(*values: Any) -> list[SummaryDocument]:
    return documents(*([{"label": "total", "value": value}] for value in values))


@settings(deadline=None)
@given(st.lists(JSON, max_size=6))
def test_no_ground_truth_makes_it_fail(truths: list[Any]) -> None:
    summary = summarise(documents(*truths), ODD)
    scores = [value for value in summary["aggregate"].values() if isinstance(value, float)]
    assert all(0 <= score <= 1 for score in scores)
    assert summary["aggregate"]["numberOfDocuments"] == len(truths)


NAMES = st.sampled_from([*ODD, "other", "lines.amount"])
TYPES = ["amount", "date", "digits", "enum", "numeric", "string", "lines", "unknown"]
FIELDS = st.dictionaries(
    NAMES,
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(TYPES),
            "enum": st.lists(st.text(max_size=3), max_size=3) | st.none(),
            "fields": st.dictionaries(NAMES, st.fixed_dictionaries({"type": st.sampled_from(TYPES)}))
            | st.none(),
        },
    ),
    max_size=6,
)
TRUTHS = st.lists(st.fixed_dictionaries({"label": NAMES, "value": JSON}), max_size=6)


@given(st.lists(TRUTHS, max_size=5), FIELDS)
def test_every_summary_can_be_shown(truths: list[Any], config: dict[str, Any]) -> None:
    summary = json.loads(msgspec.json.encode(summarise(documents(*truths), config)))
    assert summary["aggregate"]["numberOfDocuments"] == len(truths)
    shares = [summary["aggregate"], *summary["labels"].values()]
    for scores in shares:
        assert all(0 <= scores[name] <= 1 for name in SCORES)
    for label in summary["labels"].values():
        assert sum(label["lengthDistribution"].values()) == label["numberOfValids"]
        assert 0 <= label["errorPercent"] <= 100
    codes = {error["code"] for error in summary["errors"]}
    assert codes <= {
        "DE002",
        *(f"LE00{number}" for number in range(2, 8)),
        "TE001",
        "TE002",
        "TE003",
        "TE004",
    }


def test_scores_follow_the_formulas() -> None:
    label = summarise(labelled("1.00", "1.00", "2.00", "x", None), TOTAL)["labels"]["total"]
    assert (label["numberOfValids"], label["numberOfDistinctValids"], label["numberOfErrors"]) == (3, 2, 1)
    assert label["completeness"] == 4 / 5
    assert label["validity"] == 3 / 4
    assert label["coverage"] == 3 / 5
    assert label["errorPercent"] == 25
    assert label["uniqueness"] == 0
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert label["uniformity"] == pytest.approx(entropy / math.log(3))
    assert label["variation"] == pytest.approx((label["uniqueness"] + label["uniformity"]) / 2)


def test_uniqueness_leaves_out_the_ten_most_frequent_values() -> None:
    label = summarise(labelled(*(f"{number}.00" for number in range(40))), TOTAL)["labels"]["total"]
    assert label["uniqueness"] == pytest.approx(0.75)
    assert label["uniformity"] == pytest.approx(1.0)


def test_the_aggregate_is_the_mean_over_labels() -> None:
    config = TOTAL | {"date": {"type": "date"}}
    summary = summarise(labelled("1.00", "2.00"), config)
    first, second = summary["labels"].values()
    assert summary["aggregate"]["coverage"] == (first["coverage"] + second["coverage"]) / 2 == 0.5
    overall = (summary["aggregate"]["coverage"] + summary["aggregate"]["variation"]) / 2
    assert summary["aggregate"]["overallScore"] == pytest.approx(overall)


def test_without_documents_all_scores_are_zero() -> None:
    summary = summarise([], ODD)
    assert summary["aggregate"]["overallScore"] == 0
    assert set(summary["labels"]) == {*ODD, "lines.amount"} - {"lines"}


def test_null_is_a_document_without_value() -> None:
    label = summarise(labelled(None, "1.00"), TOTAL)["labels"]["total"]
    assert (label["completeness"], label["validity"], label["numberOfErrors"]) == (0.5, 1.0, 0)


def test_validity_is_zero_when_nothing_occurs() -> None:
    assert summarise(labelled(None, None), TOTAL)["labels"]["total"]["validity"] == 0


def test_nested_values_are_counted_by_column() -> None:
    rows = [[{"label": "amount", "value": 1}], [{"label": "amount", "value": "bad"}]]
    label = summarise(documents([{"label": "lines", "value": rows}]), ODD)["labels"]["lines.amount"]
    assert (label["numberOfValids"], label["numberOfErrors"], label["coverage"]) == (1, 1, 1.0)


def test_a_lines_field_without_rows_is_an_error() -> None:
    truths: list[Any] = [[{"label": "lines", "value": value}] for value in ("text", 5, None, "", [])]
    errors = [error for error in summarise(documents(*truths), ODD)["errors"] if error["code"] == "LE007"]
    assert [(error["documentId"], error["label"]) for error in errors] == [("d0", "lines"), ("d1", "lines")]


def test_distributions_count_characters_and_lengths() -> None:
    label = summarise(labelled("11.00", "1.00"), TOTAL)["labels"]["total"]
    assert label["characterDistribution"] == {"0": 4, "1": 3, ".": 2}
    assert label["lengthDistribution"] == {"4": 1, "5": 1}


def test_duplicates_are_listed_together() -> None:
    truth = [{"label": "total", "value": "1.00"}]
    found = summarise(
        [
            SummaryDocument("a", "m1", truth),
            SummaryDocument("b", "m1", []),
            SummaryDocument("c", "m2", truth),
            SummaryDocument("d", None, None),
            SummaryDocument("e", None, None),
        ],
        TOTAL,
    )["duplicates"]
    assert found["documents"] == [["a", "b"]]
    assert found["groundTruths"] == [
        {"label": "total", "value": "1.00", "numberOfDocuments": 2, "documentIds": ["a", "c"]}
    ]


def test_values_that_repeat_are_listed_by_label_and_not_by_whole_lists() -> None:
    def row(text: str) -> list[dict[str, Any]]:
        return [{"label": "name", "value": text}]

    config = {"total": {"type": "amount"}, "lines": {"type": "lines", "fields": {"name": {"type": "string"}}}}
    found = summarise(
        [
            SummaryDocument(
                name,
                None,
                [
                    {"label": "total", "value": total},
                    {"label": "lines", "value": [row("Tea"), row("Tea"), row(name)]},
                ],
            )
            for name, total in (("a", "1.00"), ("b", 2), ("c", "1.00"))
        ],
        config,
    )["duplicates"]["groundTruths"]
    assert [(one["label"], one["value"], one["documentIds"]) for one in found] == [
        ("lines.name", "Tea", ["a", "b", "c"]),
        ("total", "1.00", ["a", "c"]),
    ]


@pytest.mark.parametrize(
    ("label", "value", "code"),
    [
        ("date", "2020-02-29", None),
        ("date", "2021-02-29", "LE002"),
        ("date", "29/02/2020", "LE002"),
        ("amount", "10.50", None),
        ("amount", 10, None),
        ("amount", 10.5, None),
        ("amount", 10.555, "LE003"),
        ("amount", 1e308, "LE003"),
        ("amount", "RM 10", "LE003"),
        ("numeric", "1,5", None),
        ("numeric", "many", "LE004"),
        ("digits", 123, None),
        ("digits", "00123", None),
        ("digits", "12a", "LE005"),
        ("digits", "\u0661", "LE005"),
        ("enum", "a", None),
        ("enum", "c", "LE006"),
        ("text", "anything", None),
        ("date", True, "LE007"),
        ("text", [{"label": "x", "value": 1}], "LE007"),
    ],
)
def test_values_are_judged_by_their_type(label: str, value: Any, code: str | None) -> None:
    assert value_error(value, ODD[label]) == code


def test_errors_name_the_document_and_the_label() -> None:
    errors = summarise([*labelled("bad"), SummaryDocument("empty", None, [])], TOTAL)["errors"]
    assert {"code": "LE003", "documentId": "d0", "label": "total"}.items() <= errors[0].items()
    assert any(error["code"] == "DE002" and error["documentId"] == "empty" for error in errors)
    assert {error["code"] for error in errors if "documentId" not in error} == {"TE001", "TE002"}


def test_a_rare_value_of_an_enum_is_reported() -> None:
    truths = [[{"label": "enum", "value": "a"}]] * 40 + [[{"label": "enum", "value": "b"}]]
    codes = {error["code"] for error in summarise(documents(*truths), {"enum": ODD["enum"]})["errors"]}
    assert codes == {"TE003"}


def test_no_value_of_a_foreign_document_is_shown() -> None:
    """Also not beside one's own: whoever guesses a value would see whether others have it."""
    own, *foreign = (
        SummaryDocument(f"d{index}", "md5", [{"label": "total", "value": "1.00"}], foreign=index > 0)
        for index in range(3)
    )
    summary = summarise([own, *foreign], TOTAL)
    assert summary["duplicates"] == {"documents": [], "groundTruths": []}
    assert summary["labels"]["total"]["numberOfValids"] == 3
    twice = summarise([own, msgspec.structs.replace(own, document_id="d3"), *foreign], TOTAL)
    [repeated] = twice["duplicates"]["groundTruths"]
    assert (repeated["documentIds"], twice["duplicates"]["documents"]) == (["d0", "d3"], [["d0", "d3"]])
