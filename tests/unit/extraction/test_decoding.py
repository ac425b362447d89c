"""What printed text means, by the type of its field."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.decoding import (
    as_text,
    clean_string,
    enum_choices,
    field_type,
    fold,
    normalise,
    parse_date,
    parse_enum,
    parse_number,
    same_value,
)
from pagemill.extraction.printed_dates import date_readings

TYPES = ["amount", "date", "digits", "enum", "numeric", "string"]


def definition(kind: str) -> dict[str, object]:
    return {"type": kind, "enum": ["EUR", "GBP", "US dollar"]}


@pytest.mark.parametrize(
    ("text", "day_first", "month_first"),
    [
        ("2020-02-01", "2020-02-01", "2020-02-01"),
        ("2020/2/1", "2020-02-01", "2020-02-01"),
        ("01/02/2020", "2020-02-01", "2020-01-02"),
        ("1.2.20", "2020-02-01", "2020-01-02"),
        ("01 02 2020", "2020-02-01", "2020-01-02"),
        ("25/12/2018", "2018-12-25", "2018-12-25"),
        ("12-25-18", "2018-12-25", "2018-12-25"),
        ("9 MAR 2018", "2018-03-09", "2018-03-09"),
        ("9th March, 2018", "2018-03-09", "2018-03-09"),
        ("Mar 9, 2018", "2018-03-09", "2018-03-09"),
        ("05JAN18", "2018-01-05", "2018-01-05"),
        ("15-Okt-2019", "2019-10-15", "2019-10-15"),
        # Equal to the letters of the month where case is ignored.
        ("9 apr\u0131l 2020", "2020-04-09", "2020-04-09"),
        ("\u017fept 9, 2020", "2020-09-09", "2020-09-09"),
        ("20180304", "2018-03-04", "2018-03-04"),
        ("04032018", "2018-03-04", "2018-03-04"),
        ("Date: 03/04/99", "1999-04-03", "1999-03-04"),
        ("29/02/2019", None, None),
        ("31/31/2019", None, None),
        ("12345678", None, None),
        ("10.50", None, None),
        ("12:30", None, None),
        ("", None, None),
        ("1.2.3.2020", None, None),
    ],
)
def test_dates(text: str, day_first: str | None, month_first: str | None) -> None:
    assert parse_date(text, "day") == day_first
    assert parse_date(text, "month") == month_first


@settings(deadline=None)
@given(st.dates(datetime.date(1970, 1, 1), datetime.date(2069, 12, 31)))
def test_a_date_is_read_however_it_is_printed(date: datetime.date) -> None:
    for printed in ("%Y-%m-%d", "%d %b %Y", "%B %d, %Y", "%d-%b-%y", "%Y%m%d"):
        assert parse_date(date.strftime(printed)) == date.isoformat()
    assert parse_date(date.strftime("%d/%m/%Y"), "day") == date.isoformat()
    assert parse_date(date.strftime("%m/%d/%y"), "month") == date.isoformat()


def test_the_order_matters_only_where_both_are_possible() -> None:
    assert date_readings("25/12/2018") == {"day": "2018-12-25"}
    assert date_readings("05/12/2018") == {"day": "2018-12-05", "month": "2018-05-12"}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9", "9"),
        ("9.00", "9.00"),
        ("9,00", "9.00"),
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1,234", "1234"),
        ("1.234", "1234"),
        ("1,234,567", "1234567"),
        ("0.125", "0.125"),
        (".50", "0.50"),
        ("12.5", "12.5"),
        ("$1,234.50", "1234.50"),
        ("€ 12", "12"),
        ("RM 9.00", "9.00"),
        ("RM9.00", "9.00"),
        ("9.00 EUR", "9.00"),
        ("-9.00", "-9.00"),
        ("-$9.00", "-9.00"),
        ("$-9.00", "-9.00"),
        ("9.00-", "-9.00"),
        ("(9.00)", "-9.00"),
        ("($1,000.00)", "-1000.00"),
        ("9.00.", "9.00"),
        ("12/03/2020", None),
        ("12:30", None),
        ("15%", None),
        ("....9.00", "9.00"),
        ("ABCDE123", None),
        ("12 34 56", None),
        ("1.2.3", None),
        ("", None),
        ("-", None),
    ],
)
def test_numbers(text: str, number: str | None) -> None:
    assert parse_number(text) == (None if number is None else Decimal(number))


@settings(deadline=None)
@given(st.decimals(-(10**9), 10**9, places=2))
def test_an_amount_is_read_however_it_is_grouped(amount: Decimal) -> None:
    english = f"{amount:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    for printed in (english, german, english.replace(",", " "), f"$ {english}", f"{english} EUR"):
        assert normalise(printed, {"type": "amount"}) == f"{amount:.2f}".replace("-0.00", "0.00")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("amount", "RM 9", "9.00"),
        ("amount", "9.999", "9999.00"),
        ("amount", "1" * 16, None),
        ("amount", "nine", None),
        ("numeric", "1,234.5", "1234.5"),
        ("numeric", "3", "3"),
        ("digits", "No. 12-34 5", "12345"),
        ("digits", "none", None),
        ("digits", "٣", "3"),
        ("enum", "eur", "EUR"),
        ("enum", "US-DOLLAR", "US dollar"),
        ("enum", "something else", None),
        ("enum", "", None),
        ("string", "  Blue \n  widgets , ", "Blue widgets"),
        ("string", " :;| ", None),
        ("unheard of", "as it is", "as it is"),
    ],
)
def test_values_by_type(kind: str, text: str, value: str | None) -> None:
    assert normalise(text, definition(kind)) == value


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.text(max_size=40), st.sampled_from(["day", "month"]))
def test_any_text_is_a_value_that_stays_itself_or_none(kind: str, text: str, order: str) -> None:
    value = normalise(text, definition(kind), order)  # type: ignore[arg-type]
    if value is not None:
        assert value
        assert normalise(value, definition(kind), order) == value  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.text(alphabet="0123456789.,-/ ()$RMjan%", max_size=30), st.sampled_from(TYPES))
def test_text_that_looks_like_a_value_never_fails(text: str, kind: str) -> None:
    value = normalise(text, definition(kind))
    assert value is None or same_value(value, value, definition(kind), "day")


def test_strings_are_cut_at_the_longest_value() -> None:
    assert clean_string("a" * 3000) == "a" * 1024


@pytest.mark.parametrize(
    ("kind", "expected", "found", "same"),
    [
        ("date", "01/02/2020", "2020-02-01", True),
        ("date", "2020-02-01", "2020-02-01", True),
        ("date", "2020-02-01", "2020-01-02", False),
        ("amount", "RM 9", "9.00", True),
        ("amount", "-9", "9.00", False),
        ("amount", "nine", "9.00", False),
        ("digits", "0012", "12", True),
        ("string", "Blue widgets, Inc.", "BLUE WIDGETS INC", True),
        ("string", "Blue", "Green", False),
        ("string", "Blue", None, False),
    ],
)
def test_values_are_compared_as_their_type_means_them(
    kind: str, expected: str, found: str | None, same: bool
) -> None:
    assert same_value(expected, found, definition(kind), "day") is same


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), ("", None), ("  ", None), ([], None), ({}, None), (7, "7"), (7.5, "7.5"), (True, "true")],
)
def test_ground_truth_as_text(value: object, text: str | None) -> None:
    assert as_text(value) == text


def test_odd_definitions_are_strings_without_choices() -> None:
    assert field_type({}) == field_type({"type": 7}) == field_type({"type": "other"}) == "string"
    assert enum_choices({"enum": "a"}) == []
    assert enum_choices({"enum": ["a", 1, None]}) == ["a"]
    assert parse_enum("a", []) is None


def test_folding_keeps_letters_and_digits() -> None:
    assert fold("Café No. 7-b") == "CAFÉNO7B"
