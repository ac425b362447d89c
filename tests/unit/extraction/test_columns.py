"""Columns are told from tables, forms and receipts by what stands on the two sides of a gutter."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pagemill.extraction.columns import Row, find_zones, rows_of, side_of
from pagemill.extraction.text_lines import text_lines
from pagemill.extraction.types import Word

LETTER = 0.008
HEIGHT = 0.012
STEP = 0.017

Side = tuple[str, ...]


def words_of(
    columns: Sequence[tuple[float, Sequence[str]]], *, top: float = 0.1, step: float = STEP
) -> list[Word]:
    """Words of columns whose lines begin at the same height; an empty line is left out."""
    words = []
    for x, lines in columns:
        for number, text in enumerate(lines):
            left, y = x, top + step * number
            for one in text.split():
                words.append(Word(one, left, y, left + LETTER * len(one), y + HEIGHT))
                left += LETTER * (len(one) + 1)
    return words


def rows(words: Sequence[Word]) -> list[Row]:
    return rows_of(text_lines(words, range(len(words)), 1.0), 1.0)


def gutters(*columns: Side, at: Sequence[float] = (0.05, 0.38, 0.71)) -> int:
    """The number of gutters that are cut on a page with these columns only."""
    words = words_of(list(zip(at, columns, strict=False)))
    return sum(len(gaps) for _, _, gaps in find_zones(rows(words), words, 1.0))


ALDER = ("Seller", "Alder Street Books", "14 Alder Street", "Bristol BS1 4QT")
COPPER = ("Buyer", "Copper Beech School", "2 Station Road", "Exeter EX4 3RP")


@pytest.mark.parametrize(
    ("columns", "cut"),
    [
        ((ALDER, COPPER), 1),
        ((ALDER, COPPER, ("Delivery", "Harbour House", "Pier 3", "Hull HU1 2AB")), 2),
        (
            (
                ("Verkäufer", "Müller GmbH", "Hauptstraße 12", "80331 München"),
                ("Käufer", "Schmidt AG", "Am Markt 3", "10115 Berlin"),
            ),
            1,
        ),
        (((*ALDER, "Tel: 020 7946 0018"), (*COPPER, "Tel: 0139 200 300")), 1),
        (
            (
                ("Bill to:", "John Smith", "Riverside Lane", "London"),
                ("Ship to:", "Mary Jones", "2 Station Road", "Exeter EX4 3RP"),
            ),
            1,
        ),
        ((ALDER, ("Invoice INV-6200", "Date 2024-03-18", "Due 2024-04-17")), 1),
        ((ALDER, ("Invoice no: INV-6200", "Date: 2024-03-18", "Due: 2024-04-17")), 1),
        ((ALDER, ("Invoice no:", "Date:", "Due:"), ("INV-6200", "2024-03-18", "2024-04-17")), 1),
        ((("Invoice no:", "Date:", "Due:"), ("INV-6200", "2024-03-18", "2024-04-17"), ALDER), 1),
        ((ALDER, ("", "Copper Beech School", "2 Station Road")), 1),
    ],
)
def test_blocks_side_by_side_are_columns(columns: tuple[Side, ...], cut: int) -> None:
    assert gutters(*columns) == cut


@pytest.mark.parametrize(
    "columns",
    [
        (
            ("Item", "Blue widgets", "Red widgets", "Green box"),
            ("Colour", "Dark blue", "Light red", "Pale green"),
        ),
        (
            ("Item", "Blue widgets 12", "Red widgets 4", "Oil 7"),
            ("Amount", "EUR 320.00", "EUR 20.00", "EUR 1.00"),
        ),
        (("Blue widgets 12", "Red widgets 4", "Oil 7"), ("80 EUR", "20 EUR", "9 EUR")),
        (
            ("Crane repair 12", "Safety check 4", "Oil change 7"),
            ("John Smith", "Mary Jones", "Bob Brown"),
            ("320.00", "20.00", "1.00"),
        ),
        (
            ("Guest name", "Mr John Smith", "Ms Mary Jones"),
            ("Arrival", "1 May 2024", "2 May 2024"),
            ("Departure", "3 May 2024", "4 May 2024"),
        ),
        (("Order 1001", "Order 1002", "Order 1003"), ("Alder Street 14", "Station Road 2", "Pier Road 9")),
        (
            ("Customer", "Street", "Town", "Phone"),
            ("Copper Beech School", "2 Station Road", "Exeter EX4 3RP", "020 7946 0018"),
        ),
        (
            ("Customer name", "Delivery address", "Contact person"),
            ("John Smith", "2 Station Road", "Mary Jones"),
        ),
        (
            ("01.02.2024", "02.02.2024", "03.02.2024"),
            ("Transfer to John", "Card payment Tesco", "Salary Alder Books"),
            ("-120.00", "-20.00", "1,900.00"),
        ),
        (("Net total", "VAT 20 %", "Total due"), ("100.00 EUR", "20.00 EUR", "120.00 EUR")),
        (("GUEST", "TABLE A", "INV NO.: 153887"), ("CHECK", "", "PAX(S): 2")),
        (("INVOICE: 9722", "POS NO: 1", "DATE: 1 MAY"), ("CASHIER: ADMIN", "TABLE: 03", "TIME: 10:20")),
    ],
)
def test_rows_of_tables_and_forms_are_not_columns(columns: tuple[Side, ...]) -> None:
    assert gutters(*columns) == 0


def test_two_lines_are_not_columns() -> None:
    assert gutters(ALDER[2:], COPPER[2:]) == 0


def test_more_than_three_gutters_are_a_table() -> None:
    assert gutters(*[("some text 1", "more text", "some words 2")] * 5, at=(0.0, 0.2, 0.4, 0.6, 0.8)) == 0


def test_white_space_ends_columns() -> None:
    above, below = words_of([(0.1, ALDER), (0.6, COPPER)]), words_of([(0.1, ALDER), (0.6, COPPER)], top=0.4)
    zones = find_zones(rows([*above, *below]), [*above, *below], 1.0)
    assert [(start, end) for start, end, _ in zones] == [(0, 4), (4, 8)]


def test_lines_above_and_below_that_cross_the_gutter_stay_out() -> None:
    long = "a line that runs all the way across the page from the left to right"
    words = words_of([(0.1, (long, *ALDER, long)), (0.6, ("", *COPPER))])
    ((start, end, _),) = find_zones(rows(words), words, 1.0)
    assert (start, end) == (1, 5)


def test_the_longer_column_is_followed_up_and_down() -> None:
    words = words_of([(0.1, ("Our own Ltd", *ALDER, "United Kingdom")), (0.6, ("", *COPPER))])
    ((start, end, _),) = find_zones(rows(words), words, 1.0)
    assert (start, end) == (0, 6)


def test_cells_are_parted_by_wide_gaps_only() -> None:
    (row,) = rows(words_of([(0.1, ("Blue widgets",)), (0.5, ("12",))]))
    assert [(round(cell.x0, 3), round(cell.x1, 3)) for cell in row.cells] == [(0.1, 0.196), (0.5, 0.516)]
    assert (row.top, row.bottom, row.height) == pytest.approx((0.1, 0.1 + HEIGHT, HEIGHT))


def test_the_column_of_a_cell() -> None:
    (row,) = rows(words_of([(0.1, ("left",)), (0.5, ("middle",)), (0.8, ("right",))]))
    assert [side_of(cell, [(0.2, 0.4), (0.6, 0.7)]) for cell in row.cells] == [0, 1, 2]
