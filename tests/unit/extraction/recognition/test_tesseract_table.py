"""Tesseract's table becomes words; what is no word of it is left out."""

from __future__ import annotations

import pytest

from pagemill.extraction.recognition.tesseract_table import parse_table

HEADER = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"


def row(text: str, left: float, width: float, *, line: int = 1, height: float = 20, conf: object = 90) -> str:
    return f"5\t1\t1\t1\t{line}\t1\t{left}\t100\t{width}\t{height}\t{conf}\t{text}"


def texts(*rows: str, joined: bool = False) -> list[str]:
    return [word.text for word in parse_table("\n".join([HEADER, *rows]), 1000, 500, joined=joined)]


def test_boxes_and_confidences_are_shares() -> None:
    (word,) = parse_table("\n".join([HEADER, row("слово", 100, 50, conf=87.5)]), 1000, 500)
    assert (word.text, word.confidence) == ("слово", 0.875)
    assert (word.x0, word.y0, word.x1, word.y1) == pytest.approx((0.1, 0.2, 0.15, 0.24))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no table at all",
        "5\t1\t1",
        "4\t1\t1\t1\t1\t0\t100\t100\t50\t20\t-1\t",
        row(" ", 100, 50),
        row("word", 100, 50, conf=-1),
        row("word", 100, 50, conf="nan"),
        row("word", 100, 50, conf="high"),
        row("word", 100, 0),
        row("word", 2000, 50),
        "5\t1\t1\t1\t1\t1\tnan\t100\t50\t20\t90\tword",
        row("word\textra", 100, 50),
    ],
)
def test_lines_that_are_no_words_are_left_out(line: str) -> None:
    assert texts(row("before", 0, 50), line, row("after", 200, 50)) == ["before", "after"]


def test_boxes_and_confidences_stay_within_bounds() -> None:
    (word,) = parse_table(row("wide", -50, 2000, conf=300), 1000, 500)
    assert (word.x0, word.x1, word.confidence) == (0.0, 1.0, 1.0)


def test_marks_of_direction_and_full_width_forms_are_not_kept() -> None:
    assert texts(row("\u200e\u202bשלום\u202c\u200f", 0, 50), row("１２", 100, 50)) == ["שלום", "12"]


def test_the_sign_for_a_millionth_is_a_letter_in_greek_words_only() -> None:
    assert texts(row("αριθµός", 0, 50), row("5µm", 100, 50)) == ["αριθμός", "5µm"]


def test_letters_without_spaces_between_them_are_one_word() -> None:
    letters = [row("ก", 100, 12), row("า", 115, 10), row("ร", 128, 12), row("ค", 160, 12), row("้า", 173, 12)]
    assert texts(*letters, joined=True) == ["การ", "ค้า"]
    assert texts(*letters) == ["ก", "า", "ร", "ค", "้า"]


def test_a_joined_word_has_the_box_of_all_and_the_mean_confidence() -> None:
    rows = [row("ก", 100, 12, conf=60), row("ารค", 115, 30, conf=100)]
    (word,) = parse_table("\n".join(rows), 1000, 500, joined=True)
    assert (word.x0, word.x1, word.confidence) == pytest.approx((0.1, 0.145, 0.9))


def test_a_number_stands_apart_from_letters_and_lines_are_not_joined() -> None:
    assert texts(row("ที่", 100, 12), row("17.09", 115, 40), joined=True) == ["ที่", "17.09"]
    assert texts(row("ก", 100, 12), row("า", 113, 12, line=2), joined=True) == ["ก", "า"]


def test_the_letter_am_is_one_character() -> None:
    parts = [row("จ", 100, 12), row("\u0e4d", 112, 9), row("า", 122, 12), row("ก", 135, 12)]
    assert texts(*parts, joined=True) == ["จ\u0e33ก"]


def test_an_empty_table_has_no_words() -> None:
    assert texts() == []
    assert texts(joined=True) == []
