"""Words that are written upwards or downwards are found by their boxes and their order."""

from __future__ import annotations

import pytest

from pagemill.extraction.types import Word
from pagemill.extraction.vertical import vertical_words

THICK = 0.012


def vertical(text: str, x: float, y: float, *, letter: float = 0.006) -> Word:
    return Word(text, x, y, x + THICK, y + letter * len(text))


def level(text: str, x: float, y: float) -> Word:
    return Word(text, x, y, x + 0.006 * len(text), y + THICK)


def test_a_page_without_vertical_words() -> None:
    words = [level("Total", 0.1, 0.1), level("12", 0.2, 0.1), level("I", 0.3, 0.1)]
    assert vertical_words(words, 1.0) == ([], [])


def test_a_single_word_runs_upwards() -> None:
    assert vertical_words([level("Total", 0.5, 0.1), vertical("sideways", 0.1, 0.1)], 1.0) == ([1], [])


def test_the_order_tells_the_direction() -> None:
    down = [vertical("printed", 0.1, 0.1), vertical("sideways", 0.1, 0.15)]
    assert vertical_words(down, 1.0) == ([], [0, 1])
    assert vertical_words(down[::-1], 1.0) == ([0, 1], [])


def test_each_line_has_its_direction() -> None:
    words = [
        vertical("downward", 0.9, 0.1),
        vertical("second", 0.1, 0.2),
        vertical("line", 0.9, 0.16),
        vertical("first", 0.1, 0.1),
    ]
    assert vertical_words(words, 1.0) == ([1, 3], [0, 2])


@pytest.mark.parametrize(
    ("word", "joins"),
    [
        (Word("of", 0.1, 0.135, 0.1 + THICK, 0.147), True),
        (Word("of", 0.1, 0.16, 0.1 + THICK, 0.172), False),
        (Word("of", 0.105, 0.135, 0.105 + THICK, 0.147), False),
        (Word("of", 0.1, 0.135, 0.1 + 1.2 * THICK, 0.147), False),
    ],
)
def test_a_short_word_joins_a_line_that_it_continues(word: Word, joins: bool) -> None:
    upward, downward = vertical_words([vertical("first", 0.1, 0.1), word], 1.0)
    assert (1 in [*upward, *downward]) is joins


@pytest.mark.parametrize(("text", "found"), [("文字", True), ("縦", False), ("文A", False)])
def test_wide_letters_run_downwards(text: str, found: bool) -> None:
    word = Word(text, 0.1, 0.1, 0.12, 0.1 + 0.02 * len(text))
    assert vertical_words([word], 1.0) == ([], [0] if found else [])


@pytest.mark.parametrize(("aspect", "found"), [(0.5, True), (1.0, True), (2.5, False)])
def test_the_shape_of_the_page_counts(aspect: float, found: bool) -> None:
    assert vertical_words([Word("words", 0.1, 0.1, 0.11, 0.13)], aspect) == ([0] if found else [], [])
