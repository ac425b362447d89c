"""Text as it stands on the page becomes text as it is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.extraction.bidirectional import (
    RIGHT_TO_LEFT,
    Direction,
    character_direction,
    logical_order,
    text_direction,
)


def logical(shown: str, *, right_to_left: bool = True) -> str:
    directions = [character_direction(one) for one in shown]
    return "".join(shown[at] for at in logical_order(directions, right_to_left=right_to_left))


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("ةرازو", "وزارة"),
        ("םולש", "שלום"),
        ("70012", "70012"),
        ("1,250.00", "1,250.00"),
        ("123אב", "בא123"),
        ("17/09/2024:אב", "בא:17/09/2024"),
        ("INV-12 א", "א INV-12"),
        ("12 High St א", "א 12 High St"),
        ("٧٠٠١ مقر", "رقم ٧٠٠١"),
        (".אב", "בא."),
        ("", ""),
    ],
)
def test_text_on_a_right_to_left_line(shown: str, read: str) -> None:
    assert logical(shown) == read


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("Total 12.50", "Total 12.50"),
        ("to ןב םולש now", "to שלום בן now"),
        ("to 12 םולש now", "to 12 שלום now"),
        ("to ב 12 א now", "to א 12 ב now"),
        ("", ""),
    ],
)
def test_text_on_a_left_to_right_line(shown: str, read: str) -> None:
    assert logical(shown, right_to_left=False) == read


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("Total", "left"),
        ("وزارة", "right"),
        ("שלום", "right"),
        ("70012", "number"),
        ("٧٠٠١٢", "number"),
        ("1,250.00", "number"),
        ("—", "neutral"),
        ("", "neutral"),
        ("מע12345", "right"),
        ("Beech-و", "left"),
        ("文字", "left"),
    ],
)
def test_the_direction_of_a_word(text: str, direction: Direction) -> None:
    assert text_direction(text) == direction


@pytest.mark.parametrize(
    ("text", "found"),
    [("Total 5", False), ("aو", True), ("ש", True), ("\ufefb", True), ("文", False), ("٧", False)],
)
def test_right_to_left_letters_are_found(text: str, found: bool) -> None:
    assert (RIGHT_TO_LEFT.search(text) is not None) is found


directions = st.lists(st.sampled_from(["left", "right", "number", "separator", "neutral"]), max_size=40)


@given(directions, st.booleans())
def test_nothing_is_lost(pieces: list[Direction], right_to_left: bool) -> None:
    assert sorted(logical_order(pieces, right_to_left=right_to_left)) == list(range(len(pieces)))


@given(st.lists(st.sampled_from(["left", "number", "separator", "neutral"]), max_size=40))
def test_a_left_to_right_line_without_other_letters_stays(pieces: list[Direction]) -> None:
    assert logical_order(pieces, right_to_left=False) == list(range(len(pieces)))


@given(st.lists(st.sampled_from(["right", "neutral"]), max_size=40))
def test_right_to_left_letters_are_turned_round(pieces: list[Direction]) -> None:
    assert logical_order(pieces, right_to_left=True) == list(range(len(pieces)))[::-1]
