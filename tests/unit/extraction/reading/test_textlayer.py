"""Words from the characters of a text layer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.extraction.reading.textlayer import Character, PrintedWord, group_words, is_usable

SIZE = 10.0


def written(text: str, *, x: float = 50.0, y: float = 100.0, step: float = 6.0) -> list[Character]:
    """Characters side by side, ``step`` points apart; a space takes a place, too."""
    return [Character(one, x + step * at, y, x + step * at + 5.0, y + SIZE) for at, one in enumerate(text)]


def texts(words: list[PrintedWord]) -> list[str]:
    return ["".join(one.text for one in word.characters) for word in words]


def test_words_end_at_white_space() -> None:
    assert texts(group_words(written("Blue  widgets\t99.50\n"))) == ["Blue", "widgets", "99.50"]


def test_words_end_where_characters_stand_apart() -> None:
    assert texts(group_words([*written("Total"), *written("47.90", x=120.0)])) == ["Total", "47.90"]


def test_words_end_where_another_line_begins() -> None:
    assert texts(group_words([*written("above"), *written("below", y=130.0)])) == ["above", "below"]


@pytest.mark.parametrize(("gap", "words"), [(5.0, ["ab"]), (6.5, ["a", "b"])])
def test_the_widest_gap_within_a_word(gap: float, words: list[str]) -> None:
    first = Character("a", 0.0, 0.0, 5.0, SIZE)
    second = Character("b", 5.0 + gap, 0.0, 10.0 + gap, SIZE)
    assert texts(group_words([first, second])) == words


def test_letters_may_overlap() -> None:
    assert texts(group_words(written("kerned", step=4.0))) == ["kerned"]


def test_control_characters_are_left_out() -> None:
    assert texts(group_words(written("in\u0002voice\u0000", step=4.0))) == ["invoice"]


def test_no_characters() -> None:
    assert group_words([]) == []


def test_a_word_has_the_box_around_its_characters() -> None:
    (word,) = group_words(written("Total", x=40.0, y=30.0))
    found = word.word(400.0, 300.0)
    assert found.text == "Total"
    assert (found.x0, found.y0) == pytest.approx((0.1, 0.1))
    assert (found.x1, found.y1) == pytest.approx(((40 + 4 * 6 + 5) / 400, 40 / 300))


def test_a_word_is_cut_at_the_edges_of_the_page() -> None:
    (word,) = group_words(written("edge", x=-8.0, y=-3.0))
    found = word.word(10.0, 5.0)
    assert (found.x0, found.y0, found.x1, found.y1) == (0.0, 0.0, 1.0, 1.0)


def test_ligatures_become_letters() -> None:
    (word,) = group_words(written("oﬃce"))
    assert word.word(400.0, 300.0).text == "office"


@pytest.mark.parametrize(
    ("step", "expected"), [((6.0, 0.0), (18.0, 0.0)), ((0.0, 6.0), (0.0, 18.0)), ((-6.0, 0.0), (-18.0, 0.0))]
)
def test_the_direction_of_writing(step: tuple[float, float], expected: tuple[float, float]) -> None:
    characters = [
        Character(one, at * step[0], at * step[1], at * step[0] + 5, at * step[1] + 5)
        for at, one in enumerate("word")
    ]
    assert PrintedWord(characters).direction() == pytest.approx(expected)


@pytest.mark.parametrize("text", ["a", "ab"])
def test_short_words_do_not_tell_their_direction(text: str) -> None:
    assert PrintedWord(written(text)).direction() is None


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
    assert is_usable(written(text)) is usable


@given(st.text(alphabet="ab 1.\t", max_size=40))
def test_nothing_but_white_space_is_lost(text: str) -> None:
    assert texts(group_words(written(text))) == text.split()
