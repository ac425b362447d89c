"""Pages become tokens in lines with neighbours, whatever the order the reader gave the words in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.layout import MAXIMUM_TOKENS, NEIGHBOURS, Layout, layout_page
from pagemill.extraction.types import Page, Word
from tests.unit.extraction.printed import page_of

LEFT, RIGHT, ABOVE, BELOW = range(len(NEIGHBOURS))


def shown(layout: Layout) -> list[list[str]]:
    count = int(layout.lines.max()) + 1 if len(layout) else 0
    return [
        [text for text, at in zip(layout.texts, layout.lines, strict=True) if at == number]
        for number in range(count)
    ]


def neighbour(layout: Layout, text: str, side: int) -> str | None:
    position = int(layout.neighbours[layout.texts.index(text), side])
    return layout.texts[position] if position >= 0 else None


def test_lines_are_found_from_the_boxes() -> None:
    page = page_of("one two three", "four five", "six")
    shuffled = Page(0, page.aspect, "text", [page.words[at] for at in (5, 2, 0, 4, 1, 3)])
    assert shown(layout_page(shuffled)) == [["one", "two", "three"], ["four", "five"], ["six"]]


def test_a_slightly_skewed_line_stays_one() -> None:
    words = [
        Word(f"w{at}", 0.1 * at, 0.1 + 0.001 * at, 0.1 * at + 0.05, 0.12 + 0.001 * at) for at in range(8)
    ]
    assert shown(layout_page(Page(0, 1.0, "ocr", words))) == [[f"w{at}" for at in range(8)]]


def test_lines_of_columns_side_by_side_are_lines_of_their_own() -> None:
    words = [
        Word(text, x + 0.05 * place, y, x + 0.05 * place + 0.045, y + 0.012)
        for x, column in (
            (0.1, ("Alder Street Books", "14 Alder Street", "Bristol BS1 4QT")),
            (0.6, ("Copper Beech School", "2 Station Road", "Exeter EX4 3RP")),
        )
        for y, line in zip((0.1, 0.116, 0.132), column, strict=True)
        for place, text in enumerate(line.split())
    ]
    layout = layout_page(Page(0, 0.7, "text", words[::-1]))
    assert [" ".join(line) for line in shown(layout)] == [
        "Alder Street Books",
        "14 Alder Street",
        "Bristol BS1 4QT",
        "Copper Beech School",
        "2 Station Road",
        "Exeter EX4 3RP",
    ]
    assert neighbour(layout, "Books", RIGHT) is None
    assert neighbour(layout, "Beech", LEFT) == "Copper"


def test_rows_of_a_table_stay_lines() -> None:
    page = page_of("Description    Quantity    Amount", "Blue widgets    12    99.00", "Red oil    1    5.00")
    assert [len(line) for line in shown(layout_page(page))] == [3, 4, 4]


def test_neighbours_are_beside_and_above_where_they_overlap() -> None:
    layout = layout_page(page_of("name   amount", "tea    4.00", "milk   2.00"))
    assert neighbour(layout, "4.00", LEFT) == "tea"
    assert neighbour(layout, "4.00", RIGHT) is None
    assert neighbour(layout, "4.00", ABOVE) == "amount"
    assert neighbour(layout, "4.00", BELOW) == "2.00"
    assert neighbour(layout, "name", ABOVE) is None
    assert neighbour(layout, "milk", ABOVE) == "tea"


def nearest(layout: Layout, token: int, side: int) -> int:
    """Position of the token that is nearest of all, then overlaps most, then is the first."""
    way = 1 if side == ABOVE else -1
    best, least = -1, np.inf
    for other in range(len(layout)):
        own, its = layout.boxes[token], layout.boxes[other]
        overlap = min(own[2], its[2]) - max(own[0], its[0])
        apart = way * int(layout.lines[token] - layout.lines[other])
        cost = apart - 0.5 * min(overlap, np.float32(1))
        if overlap > 0 and apart > 0 and cost < least:
            best, least = other, cost
    return best


@pytest.mark.parametrize("seed", range(3))
def test_the_nearest_neighbours_are_found_on_large_pages_and_over_many_empty_lines(seed: int) -> None:
    random = np.random.default_rng(seed)
    words = []
    for line in range(70):
        # Some parts of the page have print on a few lines only, far from each other.
        places = random.choice(12, random.integers(1, 7), replace=False)
        if line % 25:
            places = places[places < 7]
        for place in places:
            left, top = 0.08 * place + 0.01 * random.random(), 0.014 * line
            words.append(Word(f"w{len(words)}", left, top, left + 0.07, top + 0.008))
    layout = layout_page(Page(0, 0.7, "text", words))
    assert len(layout) > 128
    for side in (ABOVE, BELOW):
        assert layout.neighbours[:, side].tolist() == [
            nearest(layout, token, side) for token in range(len(layout))
        ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Date:01/02/2020", ["Date:", "01/02/2020"]),
        ("01/02/20-03/04/20", ["01/02/20", "-03/04/20"]),
        ("01/02/2020-03/04/2020", ["01/02/2020", "-03/04/2020"]),
        ("Total:$5.00", ["Total:", "$5.00"]),
        ("Lamp(blue)", ["Lamp", "(blue)"]),
        ("plain", ["plain"]),
        ("10:30", ["10:30"]),
        ("01/02/2020", ["01/02/2020"]),
    ],
)
def test_words_that_hold_a_name_and_a_value_are_split(text: str, parts: list[str]) -> None:
    layout = layout_page(Page(0, 1.0, "text", [Word(text, 0.1, 0.1, 0.5, 0.12)]))
    found = [part for part in layout.texts if part != "-"]
    assert "".join(layout.texts) == text
    assert found == parts or [part.strip("-") for part in found] == [part.strip("-") for part in parts]


def test_parts_of_a_word_are_printed_together_and_share_its_box() -> None:
    layout = layout_page(Page(0, 1.0, "text", [Word("Total:9.00", 0.2, 0.1, 0.7, 0.12)]))
    assert layout.text(0, 1) == "Total:9.00"
    assert layout.box(0, 1) == pytest.approx((0.2, 0.1, 0.7, 0.12))
    assert layout.box(0, 0)[2] == pytest.approx(0.5) == layout.box(1, 1)[0]


def test_words_apart_are_printed_apart() -> None:
    layout = layout_page(page_of("Blue widgets"))
    assert layout.text(0, 1) == "Blue widgets"


def test_boxes_stay_on_the_page() -> None:
    layout = layout_page(Page(0, 1.0, "ocr", [Word("wide", -0.2, 0.1, 1.3, 0.2)]))
    assert layout.box(0, 0) == pytest.approx((0.0, 0.1, 1.0, 0.2))


def test_a_page_without_words_is_empty() -> None:
    layout = layout_page(Page(3, 1.0, "text", [Word("  ", 0.1, 0.1, 0.2, 0.2)]))
    assert (len(layout), layout.page, layout.neighbours.shape) == (0, 3, (0, 4))


def test_a_page_with_too_many_words_is_cut() -> None:
    words = [
        Word("a", at % 80 / 80, at // 80 / 80, (at % 80 + 0.9) / 80, (at // 80 + 0.5) / 80)
        for at in range(MAXIMUM_TOKENS + 5)
    ]
    layout = layout_page(Page(0, 1.0, "text", words))
    assert len(layout) == MAXIMUM_TOKENS
    assert layout.neighbours[81].tolist() == [80, 82, 1, 161]


coordinates = st.floats(0, 1)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.builds(Word, st.text(min_size=1, max_size=12), coordinates, coordinates, coordinates, coordinates),
        max_size=25,
    )
)
def test_any_words_have_a_layout(words: list[Word]) -> None:
    layout = layout_page(Page(0, 1.0, "ocr", words))
    assert len(layout) == len(layout.glued) == len(layout.boxes) == len(layout.lines)
    assert np.all(np.diff(layout.lines) >= 0)
    assert np.all((layout.neighbours >= -1) & (layout.neighbours < max(len(layout), 1)))
    printed = "".join(word.text for word in words if word.text.strip())
    assert sorted("".join(layout.texts)) == sorted(printed)
