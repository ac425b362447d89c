"""Text that no trusted word covers is noticed; print that is read, and what is no print, is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pagemill.extraction.recognition.unread_text import find_unread_text
from pagemill.extraction.types import Word
from tests.unit.extraction.recognition.script_pages import draw_page


def line_words(texts: list[str], *, sure: float = 0.95, height: int = 700) -> list[Word]:
    """Words that cover the lines of a drawn page; an empty text is a line that is not read."""
    tops = [(80 + number * 88) / height for number in range(len(texts))]
    pairs = zip(texts, tops, strict=True)
    return [Word(text, 0.07, top, 0.95, top + 45 / height, sure) for text, top in pairs if text]


def test_a_page_that_is_read_has_no_unread_text() -> None:
    assert find_unread_text(line_words(["Alder", "Invoice", "Total", "Two"]), draw_page("Latin")).share == 0


def test_a_page_of_which_nothing_is_read_is_all_unread() -> None:
    assert find_unread_text([], draw_page("Cyrillic")).share == 1


def test_the_share_grows_with_what_is_not_read() -> None:
    page = draw_page("Latin")
    shares = [
        find_unread_text(line_words(texts), page).share
        for texts in (["a", "b", "", "d"], ["a", "", "", "d"], ["", "", "", "d"])
    ]
    assert 0 < shares[0] < 0.5 < shares[1] < shares[2] < 1


def test_doubtful_words_and_letters_of_other_scripts_do_not_count_as_read() -> None:
    page = draw_page("Latin")
    assert find_unread_text(line_words(["a", "b", "c", "d"], sure=0.5), page).share == 1
    assert find_unread_text(line_words(["αβ", "β", "γδ", "δ"]), page).share == 1


def test_numbers_that_are_read_do_not_make_up_for_letters() -> None:
    page = draw_page("Latin")
    with_number = find_unread_text(line_words(["a", "17.09", "", "1234.56"]), page).share
    assert with_number > find_unread_text(line_words(["a", "b", "", "d"]), page).share


def test_the_rows_of_the_sample_have_the_unread_lines() -> None:
    page = draw_page("Latin", picture=(1000, 4000))
    unread = find_unread_text(line_words(["a", "", "", "d"], height=4000), page)
    assert unread.top <= 168 + 10
    assert 256 + 30 <= unread.bottom < 1000


def drawing_without_text() -> NDArray[np.uint8]:
    image = Image.new("RGB", (1000, 700), "white")
    drawing = ImageDraw.Draw(image)
    for y in range(50, 650, 60):
        drawing.line((50, y, 950, y), fill="black", width=2)
    drawing.ellipse((100, 100, 400, 400), fill="grey")
    return np.asarray(image)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((1, 1, 3), 255, np.uint8),
        np.zeros((1, 5000, 3), np.uint8),
        np.full((5000, 1, 3), 255, np.uint8),
        np.full((300, 200, 3), 128, np.uint8),
        drawing_without_text(),
    ],
    ids=["pixel", "black row", "column", "grey", "rulings"],
)
def test_pictures_without_text_have_none(pixels: NDArray[np.uint8]) -> None:
    assert find_unread_text([], pixels).share == 0


def test_a_signature_or_a_little_dirt_is_not_text() -> None:
    page = draw_page("Latin").copy()
    dirt = np.random.default_rng(7).integers(0, 690, (40, 2))
    for y, x in dirt:
        page[y : y + 3, x : x + 3] = 0
    assert find_unread_text(line_words(["Alder", "Invoice", "Total", "Two"]), page).share == 0
