"""A strip of any length is recognised in tiles of a bounded size, and no word of it twice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.reading.strips import TILE_PIXELS, tiles, words_in_tiles
from pagemill.extraction.types import Word

INK = 0


class PretendRecognizer:
    """Finds each black square: rows and columns that have ink. Its name is its size."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, pixels: Pixels) -> list[Word]:
        height, width = pixels.shape[:2]
        self.sizes.append((height, width))
        rows, columns = (runs((pixels[:, :, 0] == INK).any(axis=axis)) for axis in (1, 0))
        return [
            Word(f"{bottom - top}x{right - left}", left / width, top / height, right / width, bottom / height)
            for top, bottom in rows
            for left, right in columns
        ]


def runs(marked: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def strip(height: int, width: int, at: range, size: int) -> Pixels:
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    for top in at:
        pixels[top : top + size, 10 : 10 + size] = INK
    return pixels


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "every"), [(6400, 533, 61), (30_000, 533, 97), (30_000, 40, 97), (3000, 200, 50)]
)
def test_each_word_is_found_once_in_its_place(height: int, width: int, every: int, across: bool) -> None:
    tops = range(7, height - 20, every)
    pixels = strip(height, width, tops, 20)
    recognizer = PretendRecognizer()
    words = words_in_tiles(pixels.transpose(1, 0, 2) if across else pixels, recognizer)
    if across:
        words = [Word(word.text, word.y0, word.x0, word.y1, word.x1) for word in words]
    assert [word.text for word in words] == ["20x20"] * len(tops)
    assert [word.y0 * height for word in words] == pytest.approx(list(tops))
    assert {round(word.x0 * width) for word in words} == {10}
    assert {round(word.x1 * width) for word in words} == {30}
    assert max(tall * wide for tall, wide in recognizer.sizes) <= TILE_PIXELS


def test_a_page_is_one_tile() -> None:
    recognizer = PretendRecognizer()
    for height, width in ((1600, 1131), (2200, 2200), (533, 1600), (30, 40)):
        words_in_tiles(strip(height, width, range(0), 1), recognizer)
    assert recognizer.sizes == [(1600, 1131), (2200, 2200), (533, 1600), (30, 40)]


@pytest.mark.parametrize(
    ("size", "seen"), [((1500, 100), (1500, 500)), ((100, 1500), (500, 1500)), ((3000, 8), (3000, 736))]
)
def test_a_narrow_strip_gets_a_margin(size: tuple[int, int], seen: tuple[int, int]) -> None:
    recognizer = PretendRecognizer()
    words_in_tiles(strip(*size, range(0), 1), recognizer)
    assert recognizer.sizes == [seen]


@pytest.mark.parametrize("size", [(1, 1), (5, 30_000), (30_000, 5)])
def test_nothing_is_read_where_no_letter_fits(size: tuple[int, int]) -> None:
    recognizer = PretendRecognizer()
    assert words_in_tiles(strip(*size, range(0), 1), recognizer) == []
    assert recognizer.sizes == []


def test_words_in_the_margin_are_nobodys() -> None:
    def beyond(pixels: Pixels) -> list[Word]:
        return [Word("margin", 0.9, 0.1, 0.95, 0.2), Word("across", 0.1, 0.3, 0.9, 0.4)]

    (word,) = words_in_tiles(strip(3000, 400, range(0), 1), beyond)
    assert (word.text, word.x1) == ("across", 1.0)


@pytest.mark.parametrize(("height", "width"), [(30_000, 533), (30_000, 10), (16_000, 1000), (9000, 2200)])
def test_tiles_cover_the_strip(height: int, width: int) -> None:
    parts = list(tiles(height, width))
    assert parts[0][0] == 0
    assert parts[-1][1] == height
    assert len(parts) > 1
    assert all(top < before for (_, before), (top, _) in pairwise(parts))
