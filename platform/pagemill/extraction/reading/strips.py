"""Long pages are recognised in tiles, so that neither memory nor letters depend on how long they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import Word

TILE_PIXELS = 5_000_000
"""As many as a square page of the higher quality has."""
OVERLAP = 400
"""Pixels that neighbouring tiles share: no word of a legible page is longer along a strip."""
LEAST_SIDE = 736
"""The detector enlarges images whose shorter side is shorter; a strip gets a margin instead."""
STRIP = 3
ILLEGIBLE = 6
"""No letter is read on a page with a side of fewer pixels."""
WHITE = 255


def words_in_tiles(pixels: Pixels, recognise: Callable[[Pixels], list[Word]]) -> list[Word]:
    """Return the words of an image of any shape, boxes in 0..1 of it."""
    height, width = pixels.shape[:2]
    if min(height, width) < ILLEGIBLE:
        return []
    if width > height:
        found = _words_down(_transposed(pixels), lambda tile: _swapped(recognise(_transposed(tile))))
        return _swapped(found)
    return _words_down(pixels, recognise)


def _words_down(pixels: Pixels, recognise: Callable[[Pixels], list[Word]]) -> list[Word]:
    """Return the words of an image that is at least as high as wide; each belongs to one tile."""
    height = len(pixels)
    words: list[Word] = []
    for top, bottom in tiles(height, pixels.shape[1]):
        tile, share = _with_margin(pixels[top:bottom])
        first = 0.0 if top == 0 else top + OVERLAP / 2
        last = height if bottom == height else bottom - OVERLAP / 2
        for word in recognise(tile):
            y0, y1 = top + word.y0 * (bottom - top), top + word.y1 * (bottom - top)
            if first <= (y0 + y1) / 2 < last and word.x0 < share:
                right = min(word.x1 / share, 1.0)
                words.append(
                    Word(word.text, word.x0 / share, y0 / height, right, y1 / height, word.confidence)
                )
    return words


def tiles(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Return top and bottom of each tile of an image that is at least as high as wide."""
    length = max(TILE_PIXELS // max(width, LEAST_SIDE), 2 * OVERLAP)
    if height <= length or height <= STRIP * width:
        yield 0, height
        return
    top = 0
    while top + length < height:
        yield top, top + length
        top += length - OVERLAP
    yield top, height


def _with_margin(tile: Pixels) -> tuple[Pixels, float]:
    """Return the tile with a white margin on its right if it is narrow, and its share of the width."""
    height, width = tile.shape[:2]
    wanted = min(LEAST_SIDE, height // STRIP)
    if width >= wanted:
        return tile, 1.0
    wide = np.full((height, wanted, tile.shape[2]), WHITE, dtype=np.uint8)
    wide[:, :width] = tile
    return wide, width / wanted


def _transposed(pixels: Pixels) -> Pixels:
    return pixels.transpose(1, 0, 2)


def _swapped(words: list[Word]) -> list[Word]:
    return [Word(word.text, word.y0, word.x0, word.y1, word.x1, word.confidence) for word in words]
