"""Where on a page a value of a type could stand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pagemill.extraction.candidates import (
    candidate_key,
    string_spans,
    typed_spans,
)
from pagemill.extraction.layout import layout_page
from pagemill.extraction.printed_dates import date_readings
from pagemill.extraction.types import Page, Word
from tests.unit.extraction.printed import page_of


def found(definition: dict[str, Any], *lines: str) -> list[str]:
    layout = layout_page(page_of(*lines))
    spans = typed_spans(layout, definition)
    assert spans is not None
    assert len(spans) == len(spans.pairs())
    return [layout.text(start, end) for start, end in spans.pairs()]


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (["from 01/02/2020 to 03/04/2020"], ["01/02/2020", "03/04/2020"]),
        (["on 9 March 2020 at noon"], ["9 March 2020"]),
        (["March 9, 2020"], ["March 9, 2020"]),
        (["9 March", "2020"], []),
        (["no date 10.50 here"], []),
    ],
)
def test_dates_are_the_shortest_spans_that_read_as_one(lines: list[str], texts: list[str]) -> None:
    assert found({"type": "date"}, *lines) == texts


PIECES = (
    "1 12 05 2020 20 01012020 3, 9th 1st . - / , 10.05 99.00 : Mar March Okt. MAY M\u00c4RZ \u017fep "
    "apr\u0131l (dec) of \u0130stanbul x5 12/03/20- 12/04/20 2020-05- Date: 01.02.2021 12Jan2021 -3 "
    "\u0661\u0662/\u0660\u0665/\u0662\u0660"
)


def test_a_date_is_found_whatever_stands_around_it() -> None:
    random = np.random.default_rng(4)
    dates = 0
    for _ in range(100):
        words: list[Word] = []
        for line in range(4):
            for place in range(9):
                # Some are put together without a space.
                text = "".join(random.choice(PIECES.split(), random.integers(1, 3)))
                left, top = 0.02 + 0.1 * place, 0.1 + 0.05 * line
                words.append(Word(text, left, top, left + 0.08, top + 0.012))
        words.append(Word("17.06.2019", 0.45, 0.5, 0.55, 0.512))
        layout = layout_page(Page(0, 0.7, "text", words))
        spans = typed_spans(layout, {"type": "date"})
        assert spans is not None
        pairs = spans.pairs()
        assert all(date_readings(layout.text(start, end)) for start, end in pairs)
        assert all(first < second and last < end for (first, last), (second, end) in pairwise(pairs))
        assert layout.texts.index("17.06.2019") in {start for start, end in pairs if start == end}
        dates += len(spans)
    assert dates > 300


@pytest.mark.parametrize(
    ("line", "text", "date"),
    [
        ("Date 13/01/201810:20 Till 4", "13/01/2018", "2018-01-13"),
        ("27-06-201815:21:03", "27-06-2018", "2018-06-27"),
        ("Inv #19-11/03/2018", "11/03/2018", "2018-03-11"),
        ("2018-03-1110:20:33", "2018-03-11", "2018-03-11"),
        ("13/01/1810:20", "13/01/18", "2018-01-13"),
        ("Dated12MAY2024at", "12MAY2024", "2024-05-12"),
        ("13/01/2018102033", "13/01/2018", "2018-01-13"),
    ],
)
def test_dates_are_found_inside_words(line: str, text: str, date: str) -> None:
    assert found({"type": "date"}, line) == [text]
    assert date_readings(text)["day"] == date
    assert date_readings(line)["day"] == date


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("2x4.50 each", ["2", "4.50"]),
        ("3@12.00", ["3", "12.00"]),
        ("CHARGED9.00", ["9.00"]),
        ("9.00CHARGED", ["9.00"]),
        ("1920x1080", []),
    ],
)
def test_amounts_are_found_inside_words(line: str, texts: list[str]) -> None:
    assert found({"type": "amount"}, line) == texts


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("108.43 CR", ["108.43 CR"]),
        ("108.43 DR", ["108.43 DR"]),
        ("( 1.234,56 )", ["( 1.234,56 )"]),
        ("1 234,50 - then", ["1 234,50 -", "234,50 -"]),
        ("\u2212 9.00", ["\u2212 9.00"]),
        ("9.00          CR", ["9.00"]),
        ("12 % of 9.00", ["9.00"]),
    ],
)
def test_signs_that_turn_an_amount_around_belong_to_it(line: str, texts: list[str]) -> None:
    assert [text for text in found({"type": "amount"}, line) if text != "1"] == texts


def test_percentages_are_numbers_and_no_amounts() -> None:
    assert found({"type": "numeric"}, "VAT 25 % of 80.00") == ["25 %", "80.00"]
    assert found({"type": "amount"}, "VAT 25% of 80.00") == ["80.00"]


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (["Total 9.00"], ["9.00"]),
        (["Total $ 9.00"], ["$ 9.00"]),
        (["Total - 9.00"], ["- 9.00"]),
        (["sum 1 234,50 end"], ["1", "1 234,50", "234,50"]),
        (["at 10:30 on 01/02/2020"], []),
        (["$", "9.00"], ["9.00"]),
    ],
)
def test_amounts_take_their_sign_and_their_groups_along(lines: list[str], texts: list[str]) -> None:
    assert found({"type": "amount"}, *lines) == texts
    assert found({"type": "numeric"}, *lines) == texts


def test_digits_go_on_over_groups_of_one_line() -> None:
    assert found({"type": "digits"}, "Account 12 34-56 x") == ["12", "12 34-56", "34-56"]
    assert found({"type": "digits"}, "12", "34") == ["12", "34"]


def test_enums_are_what_prints_a_choice() -> None:
    choices = {"type": "enum", "enum": ["EUR", "US dollar"]}
    assert found(choices, "5 EUR or US Dollar today") == ["EUR", "US Dollar"]
    assert found({"type": "enum", "enum": []}, "5 EUR") == []


def test_strings_can_stand_anywhere() -> None:
    layout = layout_page(page_of("a b c"))
    assert typed_spans(layout, {"type": "string"}) is None
    assert string_spans(layout, 2).pairs() == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]
    assert len(string_spans(layout_page(page_of()), 2)) == 0


def test_fields_of_one_kind_share_their_candidates() -> None:
    assert candidate_key({"type": "amount"}) == candidate_key({"type": "amount", "description": "x"})
    assert candidate_key({"type": "numeric"}) != candidate_key({"type": "amount"})
    assert candidate_key({"type": "date"}) != candidate_key({"type": "digits"})
    first, second = {"type": "enum", "enum": ["a", "b"]}, {"type": "enum", "enum": ["a"]}
    assert candidate_key(first) != candidate_key(second)
