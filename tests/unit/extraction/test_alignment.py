"""Ground truth values are found where they are printed, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.extraction.alignment import PageText, locate, page_hint
from pagemill.extraction.layout import layout_page
from tests.unit.extraction.printed import page_of

STRING, DATE, AMOUNT = ({"type": kind} for kind in ("string", "date", "amount"))


def pages(*printed: list[str]) -> list[PageText]:
    return [PageText(layout_page(page_of(*lines, index=index))) for index, lines in enumerate(printed)]


def located(value: str, definition: dict[str, Any], *printed: list[str], **options: Any) -> list[str]:
    texts = pages(*printed)
    return [
        f"{at.page}: {texts[at.page].layout.text(at.start, at.end)}"
        for at in locate(texts, value, definition, **options)
    ]


@pytest.mark.parametrize(
    ("value", "lines", "spans"),
    [
        ("Blue widgets", ["the Blue widgets here"], ["0: Blue widgets"]),
        ("BLUE-WIDGETS", ["the Blue widgets here"], ["0: Blue widgets"]),
        ("Blue widgets", ["Blue widgets", "blue widgets"], ["0: Blue widgets", "0: blue widgets"]),
        ("Blue widgets", ["the Blue", "widgets here"], ["0: Blue widgets"]),
        ("3", ["13 3 33"], ["0: 3"]),
        ("Bluewidget", ["the Bluewidgets here"], ["0: Bluewidgets"]),
        ("Northwind Trading Ltd", ["by Northw1nd Tradlng Ltd today"], ["0: Northw1nd Tradlng Ltd"]),
        ("absent", ["nothing of the kind"], []),
        ("...", ["..."], []),
        ("absent", [], []),
    ],
)
def test_strings(value: str, lines: list[str], spans: list[str]) -> None:
    assert located(value, STRING, lines) == spans


def test_typed_values_are_found_by_what_they_mean() -> None:
    lines = ["on 01/02/2020 and 2020-02-01", "sum RM 9 or 9.00 or 9.50"]
    assert located("2020-02-01", DATE, lines, order="day") == ["0: 01/02/2020", "0: 2020-02-01"]
    assert located("2020-02-01", DATE, lines, order="month") == ["0: 2020-02-01"]
    assert located("9.00", AMOUNT, lines) == ["0: 9", "0: 9.00"]
    assert located("7.00", AMOUNT, lines) == []
    assert located("not a date", DATE, lines) == []


def test_hinted_pages_win_when_the_value_is_there() -> None:
    printed = (["total 9.00"], ["total 9.00"], ["other"])
    assert located("9.00", AMOUNT, *printed) == ["0: 9.00", "1: 9.00"]
    assert located("9.00", AMOUNT, *printed, hint=[1]) == ["1: 9.00"]
    assert located("9.00", AMOUNT, *printed, hint=[2]) == ["0: 9.00", "1: 9.00"]
    assert located("9.00", AMOUNT, *printed, hint=[77]) == ["0: 9.00", "1: 9.00"]


def test_exact_prints_are_preferred_to_similar_ones() -> None:
    printed = (["Northwind Tradlng"], ["Northwind Trading"])
    assert located("Northwind Trading", STRING, *printed) == ["1: Northwind Trading"]


def test_dates_are_found_in_the_other_order_where_the_usual_one_finds_none() -> None:
    assert located("2020-02-01", DATE, ["02/01/2020 and 01/02/2020"]) == ["0: 01/02/2020"]
    assert located("2020-02-01", DATE, ["02/01/2020 only"]) == ["0: 02/01/2020"]


def test_numbers_are_found_whatever_their_marks_mean() -> None:
    assert located("1234", {"type": "numeric"}, ["1.234 1,234 12.34"]) == ["0: 1.234", "0: 1,234"]
    assert located("8.60", AMOUNT, ["Total E.60", "Cash 9.00"]) == ["0: E.60"]


@pytest.mark.parametrize(
    ("pages", "hint"),
    [([0, 2], [0, 2]), (None, []), ("0", []), ([True, 1, "2", None, 1.5], [1]), ({}, [])],
)
def test_page_hints_are_page_numbers(pages: object, hint: list[int]) -> None:
    assert page_hint({"pages": pages}) == hint
