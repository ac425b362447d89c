"""What a print means where it can mean two things: by the ground truth, and by the rest of the document."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pagemill.extraction.alignment import PageText
from pagemill.extraction.conventions import DocumentValues, Reading, ValueReader, Votes, total_votes, vote
from pagemill.extraction.layout import layout_page
from tests.unit.extraction.printed import page_of

DATE, AMOUNT, NUMERIC = ({"type": kind} for kind in ("date", "amount", "numeric"))


def document(*lines: str) -> DocumentValues:
    return DocumentValues([PageText(layout_page(page_of(*lines)))])


def read(text: str, definition: dict[str, Any], votes: Votes, *lines: str) -> Reading:
    reading = ValueReader(document(*lines), {"field": votes}).read("field", text, definition)
    assert reading is not None
    return reading


@pytest.mark.parametrize(
    ("votes", "lines", "value", "lowest", "highest"),
    [
        ({}, [], "2018-12-05", 0.5, 0.7),
        ({"day": 30}, [], "2018-12-05", 0.95, 1.0),
        ({"month": 30}, [], "2018-05-12", 0.95, 1.0),
        ({"day": 12, "month": 10}, ["of 12/25/2018"], "2018-05-12", 0.85, 1.0),
        ({"day": 10, "month": 12}, ["of 25/12/2018"], "2018-12-05", 0.85, 1.0),
        ({}, ["due 12/25/2018"], "2018-05-12", 0.85, 1.0),
        ({}, ["of 25/12/2018, due 12/25/2018"], "2018-12-05", 0.5, 0.7),
        ({"day": 400}, ["misread 12/31/2018"], "2018-12-05", 0.8, 1.0),
        ({"day": 20}, ["Notebook 12 15.53 186.36", "Chair 10 21.14"], "2018-12-05", 0.95, 1.0),
        ({"day": 5}, ["of 12/25/2018", "to 12/26/2018", "of 12/27/2018"], "2018-05-12", 0.9, 1.0),
    ],
)
def test_the_order_of_day_and_month(
    votes: Votes, lines: list[str], value: str, lowest: float, highest: float
) -> None:
    reading = read("05/12/2018", DATE, votes, *lines)
    assert reading.value == value
    assert lowest <= reading.certainty <= highest
    assert read("25/12/2018", DATE, votes, *lines) == Reading("2018-12-25", 1.0)


@pytest.mark.parametrize(
    ("text", "votes", "lines", "value", "lowest", "highest"),
    [
        ("1.234", {}, [], "1234", 0.5, 0.9),
        ("1,234", {}, [], "1234", 0.5, 0.9),
        ("1.234", {"point": 30}, [], "1.234", 0.9, 1.0),
        ("1,234", {"comma": 30}, [], "1.234", 0.9, 1.0),
        ("1.234", {}, ["paid 12.50"], "1.234", 0.8, 1.0),
        ("1.234", {}, ["paid 1.012,50"], "1234", 0.95, 1.0),
        ("1,234", {}, ["paid 12,50 and 7,25"], "1.234", 0.95, 1.0),
        ("1.234", {"point": 30}, ["paid 1.012,50 of 2.000,00"], "1234", 0.6, 1.0),
    ],
)
def test_the_mark_of_decimals(
    text: str, votes: Votes, lines: list[str], value: str, lowest: float, highest: float
) -> None:
    reading = read(text, NUMERIC, votes, *lines)
    assert reading.value == value
    assert lowest <= reading.certainty <= highest
    assert read("1.234,5", NUMERIC, votes, *lines) == Reading("1234.5", 1.0)


def test_damaged_amounts_are_those_of_the_document_or_have_little_confidence() -> None:
    assert read("E.60", AMOUNT, {}, "Total E.60", "Visa 8.60") == Reading("8.60", 0.9)
    assert read("E.60", AMOUNT, {}, "Cash 10.00", "Change 1.40") == Reading("8.60", 0.6)
    guess = read("5.c", AMOUNT, {}, "Total 5.c")
    assert guess.value.startswith("5.")
    assert guess.certainty < 0.5
    assert ValueReader(document(), {}).read("field", "E.60", NUMERIC) is None


def test_ground_truth_votes_by_how_it_is_printed() -> None:
    texts = document("on 02/01/2020, sums 1.234,50 and 7 and 1,250")
    assert vote("2020-01-02", texts, DATE) == Counter({"day": 1})
    assert vote("2020-02-01", texts, DATE) == Counter({"month": 1})
    assert vote("2020-05-05", texts, DATE) == Counter()
    assert vote("25/12/2020", texts, DATE) == Counter({"day": 1})
    assert vote("12/25/2020", texts, DATE) == Counter({"month": 1})
    assert vote("2020-12-25", document("on 25/12/2020"), DATE) == Counter({"day": 1})
    assert vote("junk", texts, DATE) == Counter()
    assert vote("1234.5", texts, AMOUNT) == Counter({"comma": 1})
    assert vote("7", texts, AMOUNT) == Counter()
    assert vote("1250", texts, NUMERIC) == Counter({"point": 1})
    assert vote("1.25", texts, NUMERIC) == Counter({"comma": 1})
    assert vote("1.25", texts, {"type": "string"}) == Counter()


def test_fields_without_votes_follow_the_others() -> None:
    votes = total_votes([{"a": Counter({"day": 1}), "b": Counter()}, {"a": Counter({"day": 2, "comma": 4})}])
    assert votes["b"] == votes["a"] == {"day": 3, "month": 0, "point": 0, "comma": 4}
