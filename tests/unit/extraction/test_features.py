"""What the network sees of a token."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.features import (
    BUCKETS,
    MEASUREMENTS,
    PIECES,
    measure,
    text_measurements,
    text_pieces,
    word_shape,
)
from pagemill.extraction.layout import layout_page
from tests.unit.extraction.printed import page_of


@pytest.mark.parametrize(
    ("text", "shape"),
    [("03/12/20", "99/99/99"), ("Inc-D", "Aa-A"), ("RM9.00", "A9.99"), ("Über", "Aa"), ("", "")],
)
def test_shapes(text: str, shape: str) -> None:
    assert word_shape(text) == shape


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_has_pieces_and_finite_measurements(text: str) -> None:
    pieces = text_pieces(text)
    assert len(pieces) == PIECES
    assert all(0 <= piece < BUCKETS for piece in pieces)
    assert np.isfinite(text_measurements(text)).all()


def test_pieces_are_those_that_existing_weights_were_trained_with() -> None:
    assert text_pieces("Total:")[:3] == (8825, 29806, 29467)


def test_words_that_differ_in_digits_only_share_most_pieces() -> None:
    shared = set(text_pieces("INV-1234")) & set(text_pieces("INV-9876"))
    assert len(shared) >= 8
    assert text_pieces("INV-1234") != text_pieces("INV-9876")


def test_measurements_of_a_page() -> None:
    layout = layout_page(page_of("Total 10.00", "Paid 30.00", "Back 20.00"))
    table = measure(layout, 0, 2)
    assert table.shape == (6, MEASUREMENTS)
    assert table.dtype == np.float32
    assert np.isfinite(table).all()
    ranks = table[:, -8:-6]
    assert ranks[[1, 3, 5]].tolist() == [[0.0, 0.0], [1.0, 1.0], [0.5, 0.0]]
    assert table[:, -2:].tolist() == [[1.0, 0.0]] * 6
    assert measure(layout, 1, 2)[0, -1] == 1.0


def test_a_page_without_tokens_has_no_measurements() -> None:
    assert measure(layout_page(page_of()), 0, 1).shape == (0, MEASUREMENTS)
