"""Words of both recognisers stand on the page once, each by the one that reads it better."""

from __future__ import annotations

import numpy as np
import pytest

from pagemill.extraction.recognition.script_merge import corrected, crop, merge_words, misread_codes
from pagemill.extraction.types import Word


def at(text: str, x0: float, x1: float, sure: float = 0.95, y0: float = 0.1) -> Word:
    return Word(text, x0, y0, x1, y0 + 0.02, sure)


def merged(latin: list[Word], other: list[Word]) -> list[str]:
    return sorted(word.text for word in merge_words(latin, other))


def test_numbers_that_are_surely_read_are_kept() -> None:
    assert merged([at("61001", 0.3, 0.4)], [at("счёт", 0.1, 0.2), at("6l001", 0.3, 0.4)]) == ["61001", "счёт"]


def test_numbers_that_are_not_surely_read_are_tesseracts() -> None:
    assert merged([at("100", 0.3, 0.4, 0.82)], [at("61001", 0.3, 0.4)]) == ["61001"]


def test_letters_that_look_alike_are_tesseracts() -> None:
    assert merged([at("cop", 0.1, 0.2, 0.99)], [at("сор", 0.1, 0.2, 0.8)]) == ["сор"]


def test_a_part_of_a_word_gives_way_to_the_whole() -> None:
    assert merged([at("aa", 0.15, 0.19)], [at("Дата", 0.1, 0.2)]) == ["Дата"]
    assert merged([at("1", 0.10, 0.11)], [at("1234.56", 0.1, 0.2)]) == ["1234.56"]


def test_a_code_with_a_letter_misread_is_that_of_the_onnx_models() -> None:
    assert merged([at("INV-204", 0.1, 0.2)], [at("|N۷-204", 0.1, 0.2)]) == ["INV-204"]


def test_words_that_only_one_has_read_are_kept() -> None:
    assert merged([at("Ltd", 0.1, 0.2), at("maybe", 0.1, 0.2, 0.6, y0=0.5)], [at("счёт", 0.4, 0.5)]) == [
        "Ltd",
        "maybe",
        "счёт",
    ]


def test_doubtful_words_give_way() -> None:
    assert merged([at("n'n", 0.1, 0.2, 0.7)], [at("מספר", 0.1, 0.2)]) == ["מספר"]


def test_marks_and_what_tesseract_hardly_sees_are_left_out() -> None:
    assert merged([at(".", 0.19, 0.2, 1.0)], [at("руб.", 0.1, 0.2), at("ЕЕ", 0.5, 0.9, 0.2)]) == ["руб."]


def test_only_words_with_digits_are_read_again() -> None:
    words = [at(text, 0.1, 0.2) for text in ("счёт", "13-204", "формат-А4", "|N۷-204", "Ltd", "12.50", "۲۰۴")]
    assert [words[position].text for position in misread_codes(words)] == ["13-204", "|N۷-204", "12.50"]


@pytest.mark.parametrize(
    ("old", "text", "sure", "new"),
    [
        ("13-204", "INV-204", 0.98, "INV-204"),
        ("|N۷-204.", "INV-204", 0.98, "INV-204"),
        ("13-204", "INV-204", 0.7, "13-204"),
        ("№61001", "61001", 0.99, "№61001"),
        ("12.50", "12. 50", 0.99, "12.50"),
        ("12.50", "12.5β0", 0.99, "12.50"),
        ("12.50", "", 0.0, "12.50"),
    ],
)
def test_a_word_is_corrected_when_it_is_sure_and_whole(old: str, text: str, sure: float, new: str) -> None:
    word = corrected(at(old, 0.1, 0.2), text, sure)
    assert word.text == new
    assert (word.x0, word.x1) == (0.1, 0.2)


def test_crops_have_a_margin_and_end_at_the_page() -> None:
    pixels = np.zeros((100, 200, 3), dtype=np.uint8)
    assert crop(pixels, Word("a", 0.25, 0.4, 0.5, 0.6)).shape == (26, 56, 3)
    assert crop(pixels, Word("a", 0.0, 0.0, 1.0, 1.0)).shape == (100, 200, 3)
