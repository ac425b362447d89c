"""Words become lines, also on skewed and crowded pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.extraction.text_lines import skew, text_lines
from pagemill.extraction.types import Word


def word(text: str, x: float, y: float, *, width: float = 0.04, height: float = 0.012) -> Word:
    return Word(text, x, y, x + width, y + height)


def lines(words: list[Word]) -> list[str]:
    found = text_lines(words, range(len(words)), 1.0)
    return [" ".join(words[at].text for run in line for at in run.words) for line in found]


def row(texts: str, y: float, *, slope: float = 0.0, step: float = 0.05) -> list[Word]:
    return [word(text, 0.1 + step * at, y + slope * step * at) for at, text in enumerate(texts.split())]


def test_lines_come_from_the_top() -> None:
    assert lines([*row("c d", 0.3), *row("a b", 0.1)]) == ["a b", "c d"]


def test_a_line_is_read_from_the_left() -> None:
    assert lines(row("a b c", 0.1)[::-1]) == ["a b c"]


def test_close_words_of_one_height_are_one_run() -> None:
    words = [
        word("Blue", 0.1, 0.1),
        word("widgets", 0.143, 0.1),
        word("12", 0.5, 0.1),
        word("big", 0.543, 0.097, height=0.018),
    ]
    (found,) = text_lines(words, range(4), 1.0)
    assert [run.words for run in found] == [[0, 1], [2], [3]]
    assert (found[0].x0, found[0].x1, found[0].middle) == pytest.approx((0.1, 0.183, 0.106))


@pytest.mark.parametrize("slope", [-0.05, -0.02, 0.0, 0.02, 0.05])
def test_skewed_lines(slope: float) -> None:
    words = [*row("a b c d e f g h", 0.3, slope=slope), *row("i j k l m n o p", 0.32, slope=slope)]
    assert lines(words) == ["a b c d e f g h", "i j k l m n o p"]
    assert skew(text_lines(words, range(len(words)), 1.0)) == pytest.approx(slope, abs=1e-6)


def test_few_neighbours_do_not_tell_the_skew() -> None:
    words = row("a b c", 0.3, slope=0.05)
    assert skew(text_lines(words, range(3), 1.0)) == 0.0


def test_superscripts_share_a_line() -> None:
    words = [
        word("Total", 0.1, 0.1, height=0.03),
        word("2", 0.141, 0.098, height=0.012),
        word("due", 0.2, 0.109, height=0.021),
    ]
    assert lines(words) == ["Total 2 due"]


def test_half_a_line_apart_is_another_line() -> None:
    assert lines([*row("a b", 0.1), *row("c d", 0.107, step=0.05)]) in (["a b", "c d"], ["a", "c", "b", "d"])


def test_words_printed_over_each_other_keep_their_line() -> None:
    words = [
        word("long", 0.1, 0.1, width=0.1),
        word("over", 0.12, 0.1),
        word("next", 0.3, 0.1),
        word("low", 0.1, 0.13),
    ]
    assert lines(words) == ["long over next", "low"]


def test_only_the_words_that_are_asked_for() -> None:
    words = row("a b c", 0.1)
    (found,) = text_lines(words, [2, 0], 1.0)
    assert [at for run in found for at in run.words] == [0, 2]


def test_words_without_height_have_lines() -> None:
    assert lines([word("a", 0.1, 0.1, height=0.0), word("b", 0.2, 0.1, height=0.0)]) == ["a b"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), unique=True, max_size=40))
def test_words_on_a_grid(places: list[tuple[int, int]]) -> None:
    words = [word(f"{down}{across}", 0.1 * across, 0.1 * down) for across, down in places]
    expected = sorted(one.text for one in words)
    assert " ".join(lines(words)).split() == expected
