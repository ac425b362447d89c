"""Reading order, rotation and plain characters of words."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.extraction.reading.word_geometry import in_reading_order, plain, rotation_to_upright, turn_word
from pagemill.extraction.types import Word
from pagemill.rotation import Rotation

ROTATIONS: tuple[Rotation, ...] = (0, 90, 180, 270)
shares = st.floats(min_value=0, max_value=1)


def word(text: str, x: float, y: float, *, width: float = 0.08, height: float = 0.02) -> Word:
    return Word(text, x, y, x + width, y + height, 0.9)


def box(found: Word) -> tuple[float, ...]:
    return found.x0, found.y0, found.x1, found.y1


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("oﬃce", "office"),
        ("ﬁnal ﬂoor", "final floor"),
        ("eﬀect", "effect"),
        ("\ufb05", "st"),
        ("１２３．５０", "123.50"),
        ("Ａｂｃ！～", "Abc!~"),
        ("Müller 5 €", "Müller 5 €"),
        ("", ""),
    ],
)
def test_plain_characters(printed: str, expected: str) -> None:
    assert plain(printed) == expected


def test_words_are_ordered_by_line_then_from_the_left() -> None:
    words = [word("d", 0.5, 0.3), word("b", 0.5, 0.1), word("c", 0.1, 0.3), word("a", 0.1, 0.1)]
    assert "".join(one.text for one in in_reading_order(words)) == "abcd"


def test_the_order_does_not_depend_on_the_order_given() -> None:
    words = [
        word(f"{line}{column}", 0.1 + 0.2 * column, 0.1 + 0.1 * line)
        for line in range(5)
        for column in range(4)
    ]
    shuffled = list(words)
    random.Random(7).shuffle(shuffled)
    assert in_reading_order(shuffled) == words


def test_a_skewed_line_stays_one_line() -> None:
    words = [word(str(number), 0.1 * number, 0.1 + 0.006 * number) for number in range(9)]
    below = [word(f"n{number}", 0.1 * number, 0.16 + 0.006 * number) for number in range(9)]
    assert in_reading_order([*below, *words]) == [*words, *below]


def test_words_of_different_heights_share_a_line() -> None:
    words = [word("Total", 0.1, 0.1, height=0.04), word("47.90", 0.3, 0.11, height=0.02)]
    assert [one.text for one in in_reading_order(words[::-1])] == ["Total", "47.90"]


def test_words_above_each_other_are_two_lines() -> None:
    words = [word("one", 0.1, 0.10, height=0.03), word("two", 0.1, 0.115, height=0.03)]
    assert [one.text for one in in_reading_order(words[::-1])] == ["one", "two"]


def test_no_words() -> None:
    assert in_reading_order([]) == []


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (0, (0.1, 0.2, 0.3, 0.25)),
        (90, (0.75, 0.1, 0.8, 0.3)),
        (180, (0.7, 0.75, 0.9, 0.8)),
        (270, (0.2, 0.7, 0.25, 0.9)),
    ],
)
def test_a_box_turns_with_its_page(rotation: Rotation, expected: tuple[float, ...]) -> None:
    turned = turn_word(Word("total", 0.1, 0.2, 0.3, 0.25, 0.5), rotation)
    assert box(turned) == pytest.approx(expected)
    assert (turned.text, turned.confidence) == ("total", 0.5)


@given(x=shares, y=shares, width=shares, height=shares, rotation=st.sampled_from(ROTATIONS))
def test_turning_back_gives_the_same_box(
    x: float, y: float, width: float, height: float, rotation: Rotation
) -> None:
    before = Word("w", x, y, min(x + width, 1.0), min(y + height, 1.0))
    back: Rotation = ROTATIONS[-ROTATIONS.index(rotation) % 4]
    turned = turn_word(before, rotation)
    assert turned.x0 <= turned.x1
    assert turned.y0 <= turned.y1
    assert box(turn_word(turned, back)) == pytest.approx(box(before), abs=1e-9)


@pytest.mark.parametrize(
    ("directions", "rotation"),
    [
        ([], 0),
        ([(1.0, 0.0)], 0),
        ([(0.0, 1.0)], 270),
        ([(-1.0, 0.0)], 180),
        ([(0.0, -1.0)], 90),
        ([(5.0, 0.4), (3.0, -0.2), (0.0, 1.0)], 0),
        ([(0.1, 4.0), (-0.2, 6.0), (1.0, 0.0)], 270),
    ],
)
def test_the_turn_that_makes_most_words_upright(
    directions: list[tuple[float, float]], rotation: Rotation
) -> None:
    assert rotation_to_upright(directions) == rotation
