"""The order of words: rows of tables across, columns of text one after the other, in any direction."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.reading_order import in_reading_order, reading_blocks
from pagemill.extraction.types import Word

LETTER = 0.008
HEIGHT = 0.012
STEP = 0.016
MOST_SECONDS = 8.0

SELLER = ("SELLER", "Alder Street Books Ltd", "14 Alder Street", "Bristol BS1 4QT")
BUYER = ("BUYER", "Copper Beech School", "2 Station Road", "Exeter EX4 3RP")
TABLE = (
    ("Description", "Quantity", "Amount"),
    ("Repair of the harbour crane,", "1", "1320,00"),
    ("including parts and travel", "", ""),
    ("Safety inspection", "", "480,00"),
    ("Hydraulic oil", "12", "1162,80"),
)


def line(text: str, x: float, y: float, *, height: float = HEIGHT) -> list[Word]:
    """Words of one line; a letter is as wide as a space."""
    words, left = [], x
    for one in text.split(" "):
        words.append(Word(one, left, y, left + LETTER * len(one), y + height))
        left += LETTER * (len(one) + 1)
    return words


def block(lines: Sequence[str], x: float, y: float, *, step: float = STEP) -> list[Word]:
    return [word for number, text in enumerate(lines) for word in line(text, x, y + step * number)]


def ending_at(text: str, x: float, y: float) -> list[Word]:
    """Words of one line in logical order, the first of which stands rightmost."""
    words, right = [], x
    for one in text.split(" "):
        words.append(Word(one, right - LETTER * len(one), y, right, y + HEIGHT))
        right -= LETTER * (len(one) + 1)
    return words


def table(rows: Sequence[Sequence[str]], y: float, at: Sequence[float] = (0.1, 0.5, 0.75)) -> list[Word]:
    return [
        word
        for number, row in enumerate(rows)
        for x, cell in zip(at, row, strict=False)
        if cell
        for word in line(cell, x, y + STEP * number)
    ]


def printed(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def read(words: Sequence[Word], seed: int = 1, aspect: float = 1.0) -> str:
    """The words in reading order, given in another one."""
    shuffled = list(words)
    random.Random(seed).shuffle(shuffled)
    return printed(in_reading_order(shuffled, aspect))


def rows_across(rows: Sequence[Sequence[str]]) -> str:
    return " ".join(cell for row in rows for cell in row if cell)


def skewed(words: Sequence[Word], slope: float) -> list[Word]:
    return [Word(w.text, w.x0, w.y0 + slope * w.x0, w.x1, w.y1 + slope * w.x0) for w in words]


@pytest.mark.parametrize("seed", range(3))
def test_addresses_side_by_side_are_read_one_after_the_other(seed: int) -> None:
    words = [
        *block(SELLER, 0.1, 0.1),
        *block(BUYER, 0.55, 0.1),
        *block(["Invoice INV-64001", "Total due: 118.20"], 0.1, 0.3),
    ]
    assert read(words, seed) == printed(words)


def test_addresses_of_different_length() -> None:
    words = [
        *block([*SELLER, "United Kingdom"], 0.1, 0.1),
        *block(["Copper Beech School", "2 Station Road"], 0.55, 0.1 + STEP),
    ]
    assert read(words) == printed(words)


def test_addresses_whose_lines_stand_at_different_heights() -> None:
    left = block(["Miller and Sons", "The Old Mill", "Green Valley"], 0.1, 0.1)
    right = block(["Harbour Trading Company", "North Pier", "Port Sunlight"], 0.55, 0.107)
    assert read([*left, *right]) == printed([*left, *right])


def test_two_columns_of_running_text() -> None:
    left = block(
        ["the quick brown fox jumps over", "a lazy dog and runs away", "into the woods of night"], 0.1, 0.2
    )
    right = block(
        ["where nobody will ever find it", "unless they look very closely", "behind the tallest tree"],
        0.55,
        0.2,
    )
    title = line("A story that runs across both columns of the page from left to right", 0.1, 0.1)
    assert read([*title, *left, *right]) == printed([*title, *left, *right])


def test_three_columns_of_running_text() -> None:
    columns = [
        block([f"this is column number {number}", "which has some more text", "and ends with this"], x, 0.1)
        for number, x in ((1, 0.05), (2, 0.37), (3, 0.69))
    ]
    words = [word for column in columns for word in column]
    assert read(words) == printed(words)


def test_rows_of_a_table_are_read_across() -> None:
    assert read(table(TABLE, 0.3)) == rows_across(TABLE)


def test_a_letterhead_with_two_blocks_above_a_table() -> None:
    words = [*block(SELLER, 0.1, 0.05), *block(BUYER, 0.55, 0.05)]
    assert read([*words, *table(TABLE, 0.2)]) == f"{printed(words)} {rows_across(TABLE)}"


def test_an_address_beside_labels_and_their_values() -> None:
    address = block(SELLER, 0.1, 0.1)
    labels = table(
        [("Invoice no:", "INV-640"), ("Date:", "17.09.2024"), ("Terms:", "30 days")], 0.1, (0.55, 0.75)
    )
    assert read([*address, *labels]) == f"{printed(address)} {printed(labels)}"


@pytest.mark.parametrize(
    "rows",
    [
        [("Invoice number", "INV-2024-0917"), ("Invoice date", "17.09.2024"), ("Total due", "1.234,56")],
        [
            ("Customer name:", "John Smith"),
            ("Delivery address:", "2 Station Road"),
            ("Contact:", "Mary Jones"),
        ],
        [
            ("Customer name", "John Smith"),
            ("Delivery address", "2 Station Road"),
            ("Contact person", "Mary Jones"),
        ],
        [
            ("Name: John Smith", "Date: 1 May 2024"),
            ("Order: 117 B", "Page: 1 of 2"),
            ("Our ref: 9", "Your ref: 8"),
        ],
        [("Milk 2 l", "RM 9.00"), ("Bread and butter", "RM 12.50"), ("Total with tax", "RM 21.50")],
        [
            ("Blue widgets 12", "Hamburg", "320.00"),
            ("Red widgets 7", "New York", "99.00"),
            ("Oil 1", "Oslo", "1.00"),
        ],
        [("1", "Repair of crane", "2 hours", "80.00", "160.00")] * 4,
    ],
)
def test_rows_of_forms_and_receipts_are_read_across(rows: list[tuple[str, ...]]) -> None:
    at = (0.1, 0.5, 0.75) if len(rows[0]) < 4 else (0.05, 0.12, 0.4, 0.6, 0.8)
    assert read(table(rows, 0.2, at)) == rows_across(rows)


def test_two_rows_are_not_columns() -> None:
    rows = [("14 Alder Street", "2 Station Road"), ("Bristol BS1 4QT", "Exeter EX4 3RP")]
    assert read(table(rows, 0.2)) == rows_across(rows)


def test_columns_end_where_a_line_crosses_them() -> None:
    words = [
        *block(SELLER, 0.1, 0.1),
        *block(BUYER, 0.55, 0.1),
        *line(
            "Please find below what we delivered to your school in the month of March", 0.1, 0.1 + 4 * STEP
        ),
        *line("Sincerely yours", 0.1, 0.1 + 5 * STEP),
    ]
    assert read(words) == printed(words)


@pytest.mark.parametrize("slope", [-0.035, -0.01, 0.01, 0.035])
def test_a_page_that_is_skewed_by_two_degrees(slope: float) -> None:
    assert read(skewed(table(TABLE, 0.3), slope)) == rows_across(TABLE)
    words = [*block(SELLER, 0.1, 0.1, step=0.02), *block(BUYER, 0.55, 0.1, step=0.02)]
    assert read(skewed(words, slope)) == printed(words)


def test_superscripts_stay_in_their_line() -> None:
    words = [
        *line("area of 25 m", 0.1, 0.1),
        Word("2", 0.198, 0.1, 0.202, 0.1 + HEIGHT * 0.6),
        *line("in all", 0.21, 0.1),
        *line("and below", 0.1, 0.1 + STEP),
    ]
    assert read(words) == printed(words)


def test_a_long_word_that_runs_into_the_next_cell_keeps_its_line() -> None:
    words = [*line("10p-1135p/Sunday", 0.1, 0.1), *line("CM", 0.2, 0.1), *line("next", 0.1, 0.1 + STEP)]
    assert read(words) == "10p-1135p/Sunday CM next"


def test_a_right_to_left_line_is_read_from_the_right() -> None:
    words = [*ending_at("وزارة المالية", 0.9, 0.1), *ending_at("فاتورة رقم 70012", 0.9, 0.13)]
    assert read(words) == "وزارة المالية فاتورة رقم 70012"


def test_latin_words_in_a_right_to_left_line_run_to_the_right() -> None:
    above = ending_at("وزارة المالية في مدينة الرياض", 0.9, 0.1)
    words = [
        *ending_at("شركة", 0.9, 0.13),
        *line("Copper Beech Ltd", 0.72, 0.13),
        *ending_at("رقم 5", 0.71, 0.13),
    ]
    assert read([*above, *words]) == f"{printed(above)} شركة Copper Beech Ltd رقم 5"


def test_a_right_to_left_name_in_a_latin_line() -> None:
    words = [*line("Paid to", 0.1, 0.1), *ending_at("وزارة المالية", 0.28, 0.1), *line("in full", 0.29, 0.1)]
    assert (
        read([*words, *line("and nothing else is due", 0.1, 0.13)])
        == "Paid to وزارة المالية in full and nothing else is due"
    )


def test_right_to_left_columns_begin_at_the_right() -> None:
    right = [
        word
        for number, text in enumerate(("شركة النور للتجارة", "شارع الملك 14", "مدينة الرياض"))
        for word in ending_at(text, 0.9, 0.1 + STEP * number)
    ]
    left = [
        word
        for number, text in enumerate(("مدرسة الزهراء الخاصة", "شارع المحطة 2", "مدينة جدة"))
        for word in ending_at(text, 0.45, 0.1 + STEP * number)
    ]
    assert read([*left, *right]) == printed([*right, *left])


def test_rows_of_a_right_to_left_table_are_read_from_the_right() -> None:
    rows = [
        ("إصلاح الرافعة", "1", "320.00"),
        ("زيت هيدروليكي", "12", "162.80"),
        ("فحص السلامة", "2", "48.00"),
    ]
    words = [
        word
        for number, row in enumerate(rows)
        for x, cell in zip((0.9, 0.5, 0.25), row, strict=True)
        for word in ending_at(cell, x, 0.1 + STEP * number)
    ]
    assert read(words) == rows_across(rows)


def upwards(text: str, x: float, bottom: float) -> list[Word]:
    words, y = [], bottom
    for one in text.split(" "):
        words.append(Word(one, x, y - LETTER * len(one), x + HEIGHT, y))
        y -= LETTER * (len(one) + 1)
    return words


def downwards(text: str, x: float, top: float) -> list[Word]:
    return [Word(w.text, w.x0, 2 * top - w.y1, w.x1, 2 * top - w.y0) for w in upwards(text, x, top)]


BODY = [word for number in range(20) for word in line("some text of the page", 0.2, 0.1 + STEP * number)]


@pytest.mark.parametrize("written", [upwards, downwards])
def test_a_note_at_the_side_is_read_after_the_page(written: object) -> None:
    note = (
        upwards("printed by us in 2024", 0.05, 0.5)
        if written is upwards
        else downwards("printed by us in 2024", 0.05, 0.1)
    )
    assert printed(in_reading_order([*note, *BODY])) == printed([*BODY, *note])
    assert printed(in_reading_order([*BODY, *note])) == printed([*BODY, *note])


def test_lines_of_a_page_that_is_printed_upwards() -> None:
    words = [
        word for number in range(4) for word in upwards(f"line number {number}", 0.1 + 0.02 * number, 0.9)
    ]
    assert printed(in_reading_order(words)) == printed(words)


def test_columns_of_chinese_are_read_from_the_right() -> None:
    words = [
        Word(text, x, 0.1, x + 0.02, 0.1 + 0.02 * len(text))
        for text, x in (("第一列文字", 0.8), ("第二列", 0.77), ("末列", 0.74))
    ]
    assert read(words) == "第一列文字 第二列 末列"


def test_narrow_words_are_not_vertical() -> None:
    words = [Word("Illi", 0.1, 0.1, 0.1134, 0.112), *line("total", 0.12, 0.1), *line("is", 0.1, 0.12)]
    assert read(words, aspect=0.7) == "Illi total is"


@pytest.mark.parametrize("aspect", [0.5, 0.707, 1.414, 2.0])
def test_the_order_does_not_depend_on_the_shape_of_the_page(aspect: float) -> None:
    words = [*block(SELLER, 0.1, 0.1), *block(BUYER, 0.55, 0.1), *table(TABLE, 0.3)]
    shaped = [
        Word(
            w.text, w.x0 / max(aspect, 1), w.y0 * min(aspect, 1), w.x1 / max(aspect, 1), w.y1 * min(aspect, 1)
        )
        for w in words
    ]
    assert read(shaped, aspect=aspect) == read(words)


def test_blocks_of_a_page_without_columns() -> None:
    words = table(TABLE, 0.3)
    assert reading_blocks(words) == [list(range(len(words)))]
    assert reading_blocks([]) == []


def test_blocks_of_a_page_with_columns_and_a_note() -> None:
    words = [*block(SELLER, 0.2, 0.1), *block(BUYER, 0.6, 0.1), *upwards("printed sideways", 0.05, 0.5)]
    blocks = [printed([words[at] for at in one]) for one in reading_blocks(words)]
    assert blocks == [" ".join(SELLER), " ".join(BUYER), "printed sideways"]


coordinates = st.floats(0, 1)
any_words = st.lists(
    st.builds(
        lambda text, x, y, width, height: Word(text, x, y, x + width, y + height),
        st.sampled_from(["word", "12.50", "وزارة", "文字文字", "a", "Total:", "ב", "-"]),
        coordinates,
        coordinates,
        st.sampled_from([0.0, 0.01, 0.05, 0.3]),
        st.sampled_from([0.0, 0.01, 0.012, 0.2]),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(words=any_words, aspect=st.sampled_from([0.05, 0.7, 1.4, 20.0]))
def test_the_order_is_a_permutation(words: list[Word], aspect: float) -> None:
    found = in_reading_order(words, aspect)
    assert sorted(map(id, found)) == sorted(map(id, words))
    blocks = reading_blocks(words, aspect)
    assert sorted(at for one in blocks for at in one) == list(range(len(words)))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), across=st.integers(-3, 3), down=st.integers(-3, 3))
def test_a_page_that_is_moved_is_read_in_the_same_order(seed: int, across: int, down: int) -> None:
    words = [*block(SELLER, 0.2, 0.2), *block(BUYER, 0.55, 0.2), *table(TABLE, 0.4, (0.2, 0.5, 0.7))]
    random.Random(seed).shuffle(words)
    dx, dy = across / 32, down / 32
    moved = [Word(w.text, w.x0 + dx, w.y0 + dy, w.x1 + dx, w.y1 + dy) for w in words]
    assert printed(in_reading_order(moved)) == printed(in_reading_order(words))


def crowded(kind: str, count: int) -> list[Word]:
    chance = random.Random(3)
    if kind == "in one place":
        return [Word("word", 0.1, 0.1, 0.2, 0.2)] * count
    if kind == "on a stair":
        return [
            Word("word", at / count, at / count, at / count + 0.01, at / count + 0.01) for at in range(count)
        ]
    if kind == "two in a row":
        return [
            w
            for at in range(count // 2)
            for w in (Word("a1", 0.1, at, 0.3, at + 0.5), Word("b2", 0.6, at, 0.8, at + 0.5))
        ]
    height = 1.0 if kind == "tall" else 0.01
    return [
        Word("و" if at % 2 else "word", x := chance.random(), y := chance.random(), x + 0.1, y + height)
        for at in range(count)
    ]


@pytest.mark.parametrize("kind", ["in one place", "on a stair", "two in a row", "tall", "anywhere"])
def test_a_crowded_page_takes_bounded_time(kind: str) -> None:
    words = crowded(kind, 20_000)
    began = time.thread_time()
    assert len(in_reading_order(words)) == len(words)
    assert time.thread_time() - began < MOST_SECONDS
