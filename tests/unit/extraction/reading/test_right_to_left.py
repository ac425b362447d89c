"""Right-to-left and vertical text layers, drawn in the ways that producers of PDFs draw them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading.right_to_left import LONGEST_RUN, balanced
from pagemill.extraction.reading.textlayer import group_words
from pagemill.extraction.types import ReadOptions
from tests.unit.extraction.drawn_text import (
    DOWNWARDS,
    UPWARDS,
    WIDE_ADVANCE,
    Text,
    drawn_pdf,
    letter_by_letter,
)

MINISTRY = "وزارة المالية"
BODY = [Text("Invoice number 12345 and other text", 20, 280), Text("Another line of text here", 20, 260)]
BODY_TEXT = "Invoice number 12345 and other text Another line of text here"


@pytest.fixture(scope="module")
def reader() -> Iterator[PageReader]:
    with PageReader() as one:
        yield one


def read(reader: PageReader, content: bytes, options: ReadOptions | None = None) -> str:
    (page,) = reader.read(content, [0], options or ReadOptions()).pages
    assert page.source == "text"
    return " ".join(word.text for word in page.words)


@pytest.mark.parametrize(
    "drawn",
    [
        [Text(MINISTRY[::-1], 100, 200)],
        [Text([piece for letter in MINISTRY for piece in (letter, 1200.0)], 200, 200)],
        [Text("ةيلاملا", 55, 200), Text("ةرازو", 100, 200)],
        [Text("ةرازو", 100, 200), Text("ةيلاملا", 55, 200)],
        [Text(["ة", -80.0, "يلام", -80.0, "لا ةرازو"], 55, 200)],
        [Text("\ufe93\ufef4\ufedf\ufe8e\ufee4\ufedf\ufe8d \ufe93\ufead\ufe8d\ufeaf\ufeed", 55, 200)],
        letter_by_letter(MINISTRY, 200, 200, right=-6),
        letter_by_letter(MINISTRY[::-1], 100, 200, right=6),
    ],
    ids=[
        "visual",
        "logical",
        "by word",
        "by word, logical",
        "kerned",
        "shaped",
        "by letter, logical",
        "by letter",
    ],
)
def test_arabic_words_in_logical_order(reader: PageReader, drawn: list[Text]) -> None:
    assert read(reader, drawn_pdf(drawn)) == MINISTRY


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("70012 مقر ةروتاف", "فاتورة رقم 70012"),
        ("1,250.00 غلبملا", "المبلغ 1,250.00"),
        ("17.09.2024 خيراتلا", "التاريخ 17.09.2024"),
        ("17/09/2024 خيراتلا", "التاريخ 17/09/2024"),
        ("17-09-2024 خيراتلا", "التاريخ 2024-09-17"),
        ("2024-09-17 ךיראת", "תאריך 2024-09-17"),
        ("50- ديصرلا", "الرصيد -50"),
        ("%15 ةبيرض", "ضريبة 15%"),
        ("(70012) (ةرازو)", "(وزارة) (70012)"),
        ("٧٠٠١٢ مقر", "رقم ٧٠٠١٢"),
        ("١٧-٠٩-٢٠٢٤", "٢٠٢٤-٠٩-١٧"),
        ("12345עמ", "מע12345"),
        ("ןורחא םולש", "שלום אחרון"),
        ("INV-70012 מקר", "רקמ INV-70012"),
        ("دمـــحم", "محمد"),
        ("ـه1445", "1445هـ"),
    ],
)
def test_numbers_and_signs_in_right_to_left_text(reader: PageReader, shown: str, text: str) -> None:
    above = "אבגדה" if "א" <= shown[-1] <= "ת" else "ابتثج"
    drawn = [Text(above[::-1] * 3, 100, 250), Text(shown, 100, 200)]
    assert read(reader, drawn_pdf(drawn)) == f"{above * 3} {text}"


def test_numbers_that_are_drawn_letter_by_letter(reader: PageReader) -> None:
    drawn = letter_by_letter("1,250.00 غلبملا", 100, 200, right=6)
    assert read(reader, drawn_pdf(drawn)) == "المبلغ 1,250.00"


def test_a_hyphenated_number_far_from_arabic_letters_is_left_as_it_is(reader: PageReader) -> None:
    drawn = [Text("خيراتلا", 300, 200), Text("117-2024", 100, 200)]
    assert read(reader, drawn_pdf(drawn)) == "التاريخ 117-2024"


@pytest.mark.parametrize(
    ("pieces", "ligatures", "text"),
    [
        (["\ufee1\ufefc\ufeb3"], [], "سلام"),
        (["م", "لا", "س"], ["لا"], "سلام"),
        (["\ufefb"], [], "لا"),
        (["الله"], ["الله"], "الله"),
        (["\ufdf2"], [], "الله"),
    ],
)
def test_ligatures_become_their_letters(
    reader: PageReader, pieces: list[str | float], ligatures: list[str], text: str
) -> None:
    drawn = [Text("ابتثجحخد", 100, 250), Text(pieces, 100, 200)]
    assert read(reader, drawn_pdf(drawn, ligatures=ligatures)).split()[-1] == text


@pytest.mark.parametrize(
    "drawn",
    [
        [Text("שָלום"[::-1], 100, 200)],
        [Text("םולש", 100, 200), Text("\u05b8", 120, 200)],
        [Text("\u05b8", 120, 200), Text("םולש", 100, 200)],
    ],
)
def test_vowel_points_follow_their_letter(reader: PageReader, drawn: list[Text]) -> None:
    above = [Text("חזוהדגבא", 100, 250)]
    assert read(reader, drawn_pdf([*above, *drawn], marks="\u05b8")).split()[-1] == "שָלום"


def test_a_right_to_left_page_is_upright(reader: PageReader) -> None:
    drawn = drawn_pdf([Text(MINISTRY[::-1], 100, 200)])
    assert read(reader, drawn, ReadOptions(auto_rotate=True)) == MINISTRY


def test_latin_pages_are_read_as_before(reader: PageReader) -> None:
    assert read(reader, drawn_pdf([*BODY, Text("(net) 15% -50", 20, 200)])) == f"{BODY_TEXT} (net) 15% -50"


@pytest.mark.parametrize(
    "note",
    [
        [Text("Side note of 2 pages", 390, 50, UPWARDS)],
        [Text("Side note of 2 pages", 380, 250, DOWNWARDS)],
        [
            Text(word, 390, y, UPWARDS)
            for word, y in (("Side", 50), ("note", 80), ("of", 110), ("2", 128), ("pages", 140))
        ],
    ],
    ids=["upwards", "downwards", "by word"],
)
def test_a_vertical_note_is_read_after_the_page(reader: PageReader, note: list[Text]) -> None:
    assert read(reader, drawn_pdf([*note, *BODY])) == f"{BODY_TEXT} Side note of 2 pages"


def test_letters_that_are_spaced_along_a_vertical_line_are_a_word(reader: PageReader) -> None:
    note = [Text(letter, 390, 50 + 9 * at, UPWARDS) for at, letter in enumerate("Sidenote")]
    assert read(reader, drawn_pdf([*BODY, *note])) == f"{BODY_TEXT} Sidenote"


def test_digits_below_each_other_are_words_of_their_rows(reader: PageReader) -> None:
    rows = [
        Text(text, x, 200 - 12 * at)
        for x, column in ((20, "123"), (200, "789"))
        for at, text in enumerate(column)
    ]
    assert read(reader, drawn_pdf([*BODY, *rows])) == f"{BODY_TEXT} 1 7 2 8 3 9"


@pytest.mark.parametrize("pitch", [10, 13])
def test_vertical_chinese_beside_level_text(reader: PageReader, pitch: int) -> None:
    columns = [
        letter
        for x, text in ((300, "縦書文字"), (280, "左列文字"))
        for letter in letter_by_letter(text, x, 230, down=pitch)
    ]
    assert (
        read(reader, drawn_pdf([*BODY, *columns], advance=WIDE_ADVANCE)) == f"{BODY_TEXT} 縦書文字 左列文字"
    )


def test_a_font_for_vertical_writing(reader: PageReader) -> None:
    columns = [Text("第一列文字", 200, 250), Text("第二列文字", 180, 250)]
    content = drawn_pdf(columns, vertical=True, advance=WIDE_ADVANCE)
    assert read(reader, content) == "第一列文字 第二列文字"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (")ab(", "(ab)"),
        ("(ab)", "(ab)"),
        ("(ab", "(ab"),
        ("ab)", "ab)"),
        ("]1[", "[1]"),
        ("", ""),
        ("«ab»", "«ab»"),
    ],
)
def test_brackets_open_before_they_close(text: str, expected: str) -> None:
    assert balanced(text) == expected


@given(st.text(alphabet="اب1.-(%\u064eL ", max_size=40), st.booleans())
def test_nothing_is_lost(text: str, leftwards: bool) -> None:
    step = -6.0 if leftwards else 6.0
    boxes = np.array([(step * at, 0.0, step * at + 5.0, 10.0) for at in range(len(text))]).reshape(-1, 4)
    found = "".join(group_words(text, boxes).texts)
    assert sorted(found) == sorted(text.replace(" ", ""))


def test_a_run_without_spaces_takes_bounded_time() -> None:
    text = "ب\u064e" * 20 * LONGEST_RUN
    boxes = np.array([(5.0 * at, 0.0, 5.0 * at + 5.0, 10.0) for at in range(len(text))])
    began = time.thread_time()
    assert sum(map(len, group_words(text, boxes).texts)) == len(text)
    assert time.thread_time() - began < 2
