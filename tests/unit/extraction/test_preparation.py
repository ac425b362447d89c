"""Labelled documents become targets; what makes no sense is passed over and counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.preparation import TrainingOptions, prepare, read_truth
from pagemill.extraction.types import Example
from tests.unit.extraction.printed import INVOICES, invoices, page_of

OPTIONS = TrainingOptions(hidden=8, layers=1)
SCALARS = {"total": {"type": "amount"}, "date": {"type": "date"}}
PAGE = page_of("Invoice of 02/01/2020", "Tea   4.00", "total   9.00", "paid   9.00")


def example(*ground_truth: Any, name: str = "one") -> Example:
    return Example(name, [PAGE], list(ground_truth))


def label(name: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"label": name, "value": value, **more}


def test_every_occurrence_is_a_target() -> None:
    prepared = prepare([example(label("total", "9.00"))], SCALARS, OPTIONS)
    (sheet,) = prepared.training
    texts = [sheet.pages[0].layout.text(start, end) for _, start, end in sheet.targets.positives["total"]]
    assert texts == ["9.00", "9.00"]
    assert "date" not in sheet.targets.positives
    assert (prepared.examples, prepared.unlocated) == ({"total": 1}, {"total": 0})


def test_null_is_a_target_and_what_is_not_printed_is_none() -> None:
    prepared = prepare([example(label("total", "7.77"), label("date", None))], SCALARS, OPTIONS)
    assert prepared.training[0].targets.positives == {"date": []}
    assert prepared.unlocated == {"total": 1}


def test_the_order_of_day_and_month_is_learned_from_the_documents() -> None:
    day_first = prepare([example(label("date", "2020-01-02"))], SCALARS, OPTIONS)
    month_first = prepare([example(label("date", "2020-02-01"))], SCALARS, OPTIONS)
    assert day_first.configuration.order("date") == "day"
    assert month_first.configuration.order("date") == "month"
    assert month_first.training[0].targets.positives["date"]


def test_date_fields_without_votes_follow_the_others() -> None:
    config = {"date": {"type": "date"}, "due": {"type": "date"}}
    prepared = prepare([example(label("date", "2020-02-01"))], config, OPTIONS)
    assert prepared.configuration.order("due") == "month"


def test_rows_are_targets_unless_most_of_them_are_missing() -> None:
    tea = [label("product", "Tea"), label("price", "4.00")]
    ink = [label("product", "Ink"), label("price", "7.00")]
    found = prepare([example(label("items", [tea]))], INVOICES, OPTIONS)
    assert found.training[0].targets.rows["items"][0][0].max() > 0
    lost = prepare([example(label("items", [tea, ink, ink]))], INVOICES, OPTIONS)
    assert lost.training[0].targets.rows == {}
    assert lost.unlocated["items"] == 2
    none = prepare([example(label("items", []))], INVOICES, OPTIONS)
    assert none.training[0].targets.rows["items"][0][0].max() == 0


def test_documents_without_labels_for_rows_teach_nothing_about_them() -> None:
    prepared = prepare([example(label("total", "9.00"))], INVOICES, OPTIONS)
    assert prepared.training[0].targets.rows == {}


def test_the_same_documents_are_held_out_whatever_their_order() -> None:
    examples = invoices(20)
    first, second = prepare(examples, INVOICES, OPTIONS), prepare(examples[::-1], INVOICES, OPTIONS)
    assert len(first.held_out) == 3
    assert len(first.training) == 17

    def totals(prepared: Any) -> list[str]:
        return sorted(truth.scalars["total"][0] for truth in prepared.held_out_truth)

    assert totals(first) == totals(second)


def test_a_few_documents_are_all_learned_from() -> None:
    prepared = prepare(invoices(4), INVOICES, OPTIONS)
    assert (len(prepared.training), prepared.held_out) == (4, [])


def test_truth_keeps_what_makes_sense() -> None:
    truth = read_truth(
        [
            label("total", 9, pages=[1, "x"]),
            label("total", None),
            label("total", [label("x", 1)]),
            label("items", [[label("price", 4)]]),
            label("items", "text"),
            label("unknown", "x"),
            {"value": "no label"},
            {"label": ["total"], "value": 1},
            None,
            7,
        ],
        {"total": {"type": "amount"}},
        {"items": {"price": {"type": "amount"}}},
    )
    assert truth.scalars == {"total": ["9"]}
    assert truth.hints == {"total": [1]}
    assert truth.rows == {"items": [[("price", "4", [])]]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {"label": st.sampled_from([*INVOICES, "price", "product"]) | inner, "value": inner},
            optional={"pages": inner},
        )
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, max_size=4))
def test_no_ground_truth_makes_it_fail(ground_truth: list[Any]) -> None:
    prepared = prepare([Example("one", [PAGE], ground_truth)], INVOICES, OPTIONS)
    assert len(prepared.training) == 1


@pytest.mark.parametrize("pages", [[], [page_of()], [page_of(), page_of("Total 9.00", index=1)]])
def test_pages_without_words_are_no_trouble(pages: list[Any]) -> None:
    prepared = prepare([Example("one", pages, [label("total", "9.00")])], SCALARS, OPTIONS)
    assert prepared.examples == {"total": 1}
