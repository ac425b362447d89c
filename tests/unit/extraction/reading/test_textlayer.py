"""Words from the characters of a text layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.extraction.reading.textlayer import Character, PrintedWords, group_words, is_usable

SIZE = 10.0


def written(text: str, *, x: float = 50.0, y: float = 100.0, step: float = 6.0) -> list[Character]:
    """Characters side by side, ``step`` points apart; a space takes a place, too."""
    return [Character(one, x + step * at, y, x + step * at + 5.0, y + SIZE) for at, one in enumerate(text)]


def grouped(characters: Sequence[Character]) -> PrintedWords:
    """The words of characters, as the reader asks for them."""
    boxes = [(one.x0, one.y0, one.x1, one.y1) for one in characters]
    return group_words("".join(one.text for one in characters), np.array(boxes, np.float64).reshape(-1, 4))


def texts(characters: Sequence[Character]) -> list[str]:
    return grouped(characters).texts


def test_words_end_at_white_space() -> None:
    assert texts(written("Blue  widgets\t99.50\n")) == ["Blue", "widgets", "99.50"]


def test_words_end_where_characters_stand_apart() -> None:
    assert texts([*written("Total"), *written("47.90", x=120.0)]) == ["Total", "47.90"]


def test_words_end_where_another_line_begins() -> None:
    assert texts([*written("above"), *written("below", y=130.0)]) == ["above", "below"]


@pytest.mark.parametrize(("gap", "words"), [(5.0, ["ab"]), (6.5, ["a", "b"])])
def test_the_widest_gap_within_a_word(gap: float, words: list[str]) -> None:
    first = Character("a", 0.0, 0.0, 5.0, SIZE)
    second = Character("b", 5.0 + gap, 0.0, 10.0 + gap, SIZE)
    assert texts([first, second]) == words


def test_letters_may_overlap() -> None:
    assert texts(written("kerned", step=4.0)) == ["kerned"]


def test_control_characters_are_left_out() -> None:
    assert texts(written("in\u0002voice\u0000", step=4.0)) == ["invoice"]


def test_characters_that_are_not_drawn_do_not_part_those_beside_them() -> None:
    far = Character("\u200e", 900.0, 700.0, 905.0, 710.0)
    assert texts([*written("in"), far, *written("voice", x=62.0)]) == ["invoice"]


def beneath(letters: str, *, width: float, step: float) -> list[Character]:
    """Letters below each other, each on a line of its own as pdfium sees it."""
    lines = [
        (Character(one, 10.0, step * at, 10.0 + width, step * at + 9.0), Character("\n", 0.0, 0.0, 0.0, 0.0))
        for at, one in enumerate(letters)
    ]
    return [one for line in lines for one in line]


@pytest.mark.parametrize(
    ("letters", "width", "step", "words"),
    [
        ("word", 12.0, 10.0, ["word"]),
        ("word", 12.0, 20.0, ["w", "o", "r", "d"]),
        ("word", 5.0, 10.0, ["w", "o", "r", "d"]),
        ("日本", 9.0, 10.0, ["日本"]),
    ],
    ids=["lying", "apart", "upright", "wide"],
)
def test_letters_beneath_each_other(letters: str, width: float, step: float, words: list[str]) -> None:
    column = beneath(letters, width=width, step=step)
    assert texts(column) == words
    assert texts([*written("no ", x=200.0), *column, *written("yes", x=200.0)]) == ["no", *words, "yes"]


def test_a_letter_beneath_a_word_is_not_part_of_it() -> None:
    below = Character("x", 50.0, 118.0, 55.0, 128.0)
    assert texts([*written("ab"), below]) == ["ab", "x"]


def test_letters_beyond_the_basic_plane() -> None:
    assert texts(written("\U0001d400\U0001d401 \U0001f600")) == ["\U0001d400\U0001d401", "\U0001f600"]


def test_words_of_two_directions() -> None:
    latin, hebrew = written("total"), written("\u05d0\u05d1\u05d2", x=200.0)
    found = grouped([*latin, *written(" ", x=90.0), *hebrew])
    assert found.texts == ["total", "\u05d2\u05d1\u05d0"]
    # Latin text in the place of the Hebrew would run to the right as well.
    assert [round(right) for right, _ in found.directions()] == [24, 12]


def test_no_more_words_than_asked_for() -> None:
    few = grouped(written("one two three")).up_to(2)
    assert [word.text for word in few.words(400.0, 300.0)] == ["one", "two"]
    assert len(few.directions()) == 2


def test_no_characters() -> None:
    assert texts([]) == []
    assert grouped([]).words(400.0, 300.0) == []
    assert grouped([]).directions() == []


def test_a_word_has_the_box_around_its_characters() -> None:
    (found,) = grouped(written("Total", x=40.0, y=30.0)).words(400.0, 300.0)
    assert found.text == "Total"
    assert (found.x0, found.y0) == pytest.approx((0.1, 0.1))
    assert (found.x1, found.y1) == pytest.approx(((40 + 4 * 6 + 5) / 400, 40 / 300))


def test_a_word_is_cut_at_the_edges_of_the_page() -> None:
    (found,) = grouped(written("edge", x=-8.0, y=-3.0)).words(10.0, 5.0)
    assert (found.x0, found.y0, found.x1, found.y1) == (0.0, 0.0, 1.0, 1.0)


def test_ligatures_become_letters() -> None:
    (word,) = grouped(written("oﬃce")).words(400.0, 300.0)
    assert word.text == "office"


@pytest.mark.parametrize(
    ("step", "expected"), [((6.0, 0.0), (18.0, 0.0)), ((0.0, 6.0), (0.0, 18.0)), ((-6.0, 0.0), (-18.0, 0.0))]
)
def test_the_direction_of_writing(step: tuple[float, float], expected: tuple[float, float]) -> None:
    characters = [
        Character(one, at * step[0], at * step[1], at * step[0] + 5, at * step[1] + 5)
        for at, one in enumerate("word")
    ]
    assert grouped(characters).directions() == [pytest.approx(expected)]


@pytest.mark.parametrize("text", ["a", "ab"])
def test_short_words_do_not_tell_their_direction(text: str) -> None:
    assert grouped(written(text)).directions() == []


def test_a_character_knows_its_size_and_centre() -> None:
    tall = Character("l", 0.0, 0.0, 3.0, 12.0)
    assert (tall.size, tall.centre) == (12.0, (1.5, 6.0))


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("Invoice 4711", True),
        ("too few", False),
        ("        ", False),
        ("", False),
        ("\ufffd" * 20, False),
        ("readable text\ufffd\ufffd", True),
        ("readable" + "\ue000" * 8, False),
    ],
)
def test_a_text_layer_is_used_when_it_is_better_than_recognition(text: str, usable: bool) -> None:
    assert is_usable(text) is usable


@given(st.text(alphabet="ab 1.\t", max_size=40))
def test_nothing_but_white_space_is_lost(text: str) -> None:
    assert texts(written(text)) == text.split()
