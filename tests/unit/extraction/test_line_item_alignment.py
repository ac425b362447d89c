"""Rows of ground truth are found on the page, and become what the network learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pagemill.extraction.alignment import PageText
from pagemill.extraction.layout import layout_page
from pagemill.extraction.line_item_alignment import LocatedRows, locate_rows, row_targets, truth_rows
from tests.unit.extraction.printed import page_of

COLUMNS: dict[str, Any] = {
    "product": {"type": "string"},
    "quantity": {"type": "numeric"},
    "price": {"type": "amount"},
}
ORDERS: dict[str, Any] = {}


def texts(*printed: list[str]) -> list[PageText]:
    return [PageText(layout_page(page_of(*lines, index=index))) for index, lines in enumerate(printed)]


def row(**cells: str) -> list[tuple[str, str, list[int]]]:
    return [(column, text, []) for column, text in cells.items()]


def located(rows: list[Any], *printed: list[str]) -> tuple[list[dict[str, str]], LocatedRows]:
    pages = texts(*printed)
    found = locate_rows(pages, rows, COLUMNS, ORDERS)
    shown = [
        {
            column: f"{at.page}.{pages[at.page].layout.lines[at.start]}: "
            f"{pages[at.page].layout.text(at.start, at.end)}"
            for column, at in cells.items()
        }
        for cells in found.rows
    ]
    return shown, found


def test_rows_go_down_the_page() -> None:
    shown, found = located(
        [
            row(product="Tea", price="4.00"),
            row(product="Tea", price="4.00"),
            row(product="Milk", price="2.00"),
        ],
        ["Tea and Milk", "Tea   4.00", "Tea   4.00", "Milk   2.00", "sum   4.00"],
    )
    assert shown == [
        {"product": "0.1: Tea", "price": "0.1: 4.00"},
        {"product": "0.2: Tea", "price": "0.2: 4.00"},
        {"product": "0.3: Milk", "price": "0.3: 2.00"},
    ]
    assert (found.cells, found.unlocated) == (6, 0)


def test_rows_go_on_over_pages() -> None:
    shown, _ = located(
        [row(product="Tea", price="4.00"), row(product="Milk", price="2.00")],
        ["Tea   4.00"],
        ["carried over", "Milk   2.00"],
    )
    assert [cells["product"] for cells in shown] == ["0.0: Tea", "1.1: Milk"]


def test_cells_may_stand_on_the_next_lines() -> None:
    shown, _ = located([row(product="Tea", price="4.00")], ["Tea", "green   4.00"])
    assert shown == [{"product": "0.0: Tea", "price": "0.1: 4.00"}]


def test_columns_with_the_same_value_go_by_where_they_usually_stand() -> None:
    shown, _ = located(
        [row(quantity="2", price="9"), row(quantity="3", price="3"), row(quantity="4", price="8")],
        ["2   9", "3   3", "4   8"],
    )
    assert shown[1] == {"quantity": "0.1: 3", "price": "0.1: 3"}
    pages = texts(["2   9", "3   3", "4   8"])
    found = locate_rows(
        pages, [row(quantity="2", price="9"), row(quantity="3", price="3")], COLUMNS, ORDERS
    ).rows[1]
    assert found["quantity"].start < found["price"].start


def test_rows_that_are_not_printed_are_counted() -> None:
    shown, found = located([row(product="Ink", price="7.00"), row(product="Tea")], ["Tea   4.00"])
    assert shown == [{"product": "0.0: Tea"}]
    assert found.unlocated == 1
    assert located([row(product="Tea")])[1].unlocated == 1


def test_targets_mark_first_and_further_tokens_and_the_starts_of_rows() -> None:
    pages = texts(["Green tea   4.00", "Milk   2.00"], ["other"])
    found = locate_rows(
        pages, [row(product="Green tea", price="4.00"), row(product="Milk", price="2.00")], COLUMNS, ORDERS
    )
    (classes, starts), (other, no_starts) = row_targets(pages, found, list(COLUMNS))
    assert classes.tolist() == [1, 2, 5, 1, 5]
    assert starts.tolist() == [1, 0, 0, 1, 0]
    assert not np.any(other)
    assert not np.any(no_starts)


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (None, None),
        ("text", None),
        ([], []),
        ([[{"label": "product", "value": "Tea", "pages": [1]}]], [[("product", "Tea", [1])]]),
        ([{"label": "product", "value": "Tea"}], [[("product", "Tea", [])]]),
        ([[{"label": "product", "value": None}], [{"label": "price", "value": 4}]], [[("price", "4", [])]]),
        ([[{"label": "unknown", "value": "x"}, {"label": ["product"]}, 7, None]], []),
        ([["Tea"], 7], []),
    ],
)
def test_rows_of_odd_ground_truth(value: object, rows: object) -> None:
    assert truth_rows(value, COLUMNS) == rows
