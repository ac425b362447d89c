"""A line's text, words and confidences from the recogniser's columns."""

from __future__ import annotations

import numpy as np
import pytest

from pagemill.extraction.recognition.decoding import DecodedLine, decode, words_of

CHARACTERS = ("", "a", "b", "c", " ")


def line(columns: str, probabilities: list[float] | None = None) -> DecodedLine:
    """Return the line of columns: ``-`` is none, ``_`` is a space."""
    indexes = np.array(["-abc_".index(column) for column in columns])
    likely = np.array(probabilities or [1.0] * len(columns), dtype=np.float32)
    return decode(indexes, likely, CHARACTERS)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ("aab-b-c", "abbc"),
        ("-a-a-", "aa"),
        ("ab_c", "ab c"),
        ("----", ""),
        ("ccc", "c"),
        ("abcba", "abcba"),
    ],
)
def test_equal_neighbours_are_one_character(columns: str, text: str) -> None:
    assert line(columns).text == text


def test_middles_are_those_of_the_columns() -> None:
    assert line("-aa-b").middles == (16.0, 36.0)


def test_a_confidence_is_that_of_the_first_column_of_each_character() -> None:
    found = line("aa-b", [0.8, 0.1, 0.9, 0.4])
    assert found.probabilities == pytest.approx((0.8, 0.4))
    assert found.confidence == pytest.approx(0.6)
    assert line("--").confidence == 0.0


def test_each_word_has_its_own_confidence_and_place() -> None:
    # The confidences of words after a space are not shifted by it.
    columns, probabilities = "ab_c_a", [0.9, 0.7, 1.0, 0.3, 1.0, 0.6]
    words = words_of(line(columns, probabilities), 48)
    assert [word.text for word in words] == ["ab", "c", "a"]
    assert [word.confidence for word in words] == pytest.approx([0.8, 0.3, 0.6])
    assert [(word.start, word.end) for word in words] == [(0.0, 16.0), (24.0, 32.0), (40.0, 48.0)]


def test_words_stay_within_the_line() -> None:
    (word,) = words_of(line("a------b"), 60)
    assert 0 <= word.start < word.end <= 60


def test_a_line_without_characters_has_no_words() -> None:
    assert words_of(line("-_-"), 24) == []


@pytest.mark.parametrize(
    ("columns", "gap"),
    [("aaaa", 16), ("a-------b", 64), ("--------a", 68), ("a--------", 68), ("a___b", 32), ("---", 24)],
)
def test_the_widest_gap_is_where_no_character_is(columns: str, gap: float) -> None:
    assert line(columns).widest_gap(8 * len(columns)) == gap
