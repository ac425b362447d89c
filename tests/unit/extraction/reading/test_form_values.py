"""Words in form fields are mended by the values of the fields."""

from __future__ import annotations

import pytest

from pagemill.extraction.reading.form_values import with_field_values
from pagemill.extraction.reading.pdf_annotations import FieldValue
from pagemill.extraction.types import Word

BOX = (0.5, 0.5, 0.9, 0.6)
OUTSIDE = Word("Total", 0.1, 0.5, 0.2, 0.6)


def inside(*parts: str) -> list[Word]:
    return [Word(part, 0.5 + 0.04 * at, 0.5, 0.53 + 0.04 * at, 0.6) for at, part in enumerate(parts)]


def texts(words: list[Word]) -> list[str]:
    return [word.text for word in words]


def test_cells_of_a_comb_are_one_word() -> None:
    words = with_field_values([OUTSIDE, *inside(*"86011117")], [FieldValue("86011117", BOX, comb=True)])
    assert texts(words) == ["Total", "86011117"]
    assert (words[1].x0, words[1].x1) == pytest.approx((0.5, 0.9))


def test_a_comb_of_two_words() -> None:
    words = with_field_values(inside(*"AB12"), [FieldValue("AB 12", BOX, comb=True)])
    assert texts(words) == ["AB", "12"]
    assert words[0].x1 < words[1].x0


def test_characters_that_no_font_has_are_restored() -> None:
    words = with_field_values([OUTSIDE, *inside("Ж3")], [FieldValue("ЖУ 23", BOX)])
    assert texts(words) == ["Total", "ЖУ", "23"]
    words = with_field_values([], [FieldValue("Жуков", BOX)])
    assert texts(words) == ["Жуков"]
    assert (words[0].x0, words[0].y0, words[0].x1, words[0].y1) == BOX


def test_an_upright_field_is_shared_from_the_top() -> None:
    tall = (0.5, 0.1, 0.55, 0.9)
    first, second = with_field_values([], [FieldValue("AB CD", tall)])
    assert first.y1 < second.y0
    assert (first.x0, first.x1) == (second.x0, second.x1) == (0.5, 0.55)


def test_what_is_drawn_otherwise_stays() -> None:
    drawn = inside("1,234.56")
    assert with_field_values(drawn, [FieldValue("1234.56", BOX)]) == drawn
    assert with_field_values(drawn, [FieldValue("Total", BOX)]) == drawn


def test_a_field_that_scrolls_shows_a_part() -> None:
    drawn = inside("First", "line")
    assert with_field_values(drawn, [FieldValue("First line second line", BOX, scrolls=True)]) == drawn


def test_an_empty_value_changes_nothing() -> None:
    drawn = inside("kept")
    assert with_field_values(drawn, [FieldValue("  ", BOX, comb=True)]) == drawn
