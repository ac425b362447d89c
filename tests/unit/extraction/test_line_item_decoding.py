"""Scores of tokens become rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pagemill.extraction.alignment import PageText
from pagemill.extraction.conventions import DocumentValues, ValueReader
from pagemill.extraction.layout import layout_page
from pagemill.extraction.line_item_decoding import read_rows, softmax
from tests.unit.extraction.printed import page_of

COLUMNS: dict[str, Any] = {"product": {"type": "string"}, "price": {"type": "amount"}}
FIRST, GOES_ON, PRICE = 2, 3, 4
SURE = 8.0
READER = ValueReader(DocumentValues([]), {}).of_columns("items")


def read(*printed: list[tuple[str, str]]) -> list[dict[str, str | None]]:
    """Rows of pages whose lines are (text, marks): P a product's first token, p a further one, 4 a price.

    A row starts at a token whose mark has a star behind it.
    """
    pages, scores = [], []
    for index, lines in enumerate(printed):
        page = PageText(layout_page(page_of(*(text for text, _ in lines), index=index)))
        part = np.full((len(page.layout), 6), -SURE, dtype=np.float32)
        part[:, 1] = 0.0
        marks = [mark for _, marked in lines for mark in marked.split()]
        for token, mark in enumerate(marks):
            outputs = {"P": FIRST, "p": GOES_ON, "4": PRICE}
            if mark[0] in outputs:
                part[token, outputs[mark[0]]] = SURE
            part[token, 0] = SURE if mark.endswith("*") else -SURE
        pages.append(page)
        scores.append(part)
    return [{cell.label: cell.value for cell in row} for row in read_rows(pages, scores, COLUMNS, READER)]


def test_each_start_begins_a_row() -> None:
    assert read([("Green tea 4.00", "P* p 4"), ("Milk 2.00", "P* 4"), ("Total 6.00", "- -")]) == [
        {"product": "Green tea", "price": "4.00"},
        {"product": "Milk", "price": "2.00"},
    ]


def test_a_second_cell_of_a_column_begins_a_row_too() -> None:
    assert read([("Tea 4.00", "P 4"), ("Milk 2.00", "P 4")]) == [
        {"product": "Tea", "price": "4.00"},
        {"product": "Milk", "price": "2.00"},
    ]


def test_an_amount_printed_in_groups_is_one_cell_however_sure_its_first_group_is_alone() -> None:
    page = PageText(layout_page(page_of("Tea 2 076,25")))
    part = np.full((3, 6), -SURE, dtype=np.float32)
    part[0, [0, FIRST]] = SURE
    part[1, PRICE] = SURE
    part[2, 1], part[2, PRICE] = 0.0, 3.0

    [row] = read_rows([page], [part], COLUMNS, READER)

    assert [(cell.label, cell.value) for cell in row] == [("product", "Tea"), ("price", "2076.25")]


def test_text_goes_on_over_lines() -> None:
    assert read([("Green 4.00", "P* 4"), ("tea", "p"), ("Milk", "P*")]) == [
        {"product": "Green tea", "price": "4.00"},
        {"product": "Milk"},
    ]


def test_rows_go_on_over_pages_but_words_do_not() -> None:
    assert read([("Tea", "P*")], [("4.00", "4"), ("Milk 2.00", "P* 4")]) == [
        {"product": "Tea", "price": "4.00"},
        {"product": "Milk", "price": "2.00"},
    ]
    assert read([("Tea", "P*")], [("cup", "p")]) == [{"product": "Tea"}, {"product": "cup"}]


def test_what_is_no_value_of_the_column_is_no_cell() -> None:
    assert read([("Tea free", "P* 4")]) == [{"product": "Tea"}]
    assert read([("- free", "- 4*")]) == []
    assert read([]) == []


def test_cells_know_where_they_stand_and_how_sure_they_are() -> None:
    page = PageText(layout_page(page_of("Tea 4,00", index=7)))
    scores = np.full((2, 6), -SURE, dtype=np.float32)
    scores[0, FIRST] = scores[1, PRICE] = SURE
    ((product, price),) = read_rows([page], [scores], COLUMNS, READER)
    assert (price.value, price.raw_value, price.page) == ("4.00", "4,00", 7)
    assert price.location == pytest.approx(page.layout.box(1, 1))
    assert 0.99 < product.confidence <= 1.0


def test_probabilities_sum_to_one() -> None:
    scores = np.array([[1000.0, 0.0, -1000.0], [1.0, 1.0, 1.0]], dtype=np.float32)
    assert softmax(scores).sum(axis=1) == pytest.approx([1.0, 1.0])


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.float32, (9, 6), elements=st.floats(-50, 50, width=32)))
def test_any_scores_are_rows_of_known_columns(scores: np.ndarray) -> None:
    page = PageText(layout_page(page_of("Tea 4.00 cup", "Milk - 2.00", "a 1 b")))
    for row in read_rows([page], [scores], COLUMNS, READER):
        assert 1 <= len(row) <= 2
        assert len({cell.label for cell in row}) == len(row)
        assert all(cell.value and 0 <= cell.confidence <= 1 for cell in row)
