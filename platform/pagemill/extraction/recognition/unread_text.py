"""Estimate of how much of a page's text is not read: the recogniser leaves out letters it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.scripts import script_of
from pagemill.extraction.types import Word

TRUSTED_CONFIDENCE = 0.8
"""Rapidocr reads Latin, Chinese and Japanese with more, and letters that it only guesses mostly with less."""
MOST_PIXELS = 4_000_000
"""An A4 page with 200 dots an inch, and some; a larger page is looked at in a smaller copy."""
SHORTEST_LETTER, TALLEST_LETTER = 0.28, 1.6
"""Height of a letter's ink in heights of the page's words."""
WIDEST_INK = 10.0
"""Width of connected ink in heights of words: a word in Arabic or Devanagari, but no ruling."""
SMALLEST_EVIDENCE = 6.0
"""Width of unread ink in heights of words, about fifteen letters; less is a stamp, a signature or dirt."""
SMALLEST_LETTER = 6
"""Pixels in height; nothing smaller can be read."""
WORD_PER_LETTER = 1.25
"""Height of a word by that of its letters, on a page without any trusted word."""
SAMPLE_LINES = 12
"""Height of the sample in heights of words: six lines of print."""


def is_trusted(word: Word) -> bool:
    """Tell whether the ONNX models have read a word in one of the scripts that they know."""
    return word.confidence >= TRUSTED_CONFIDENCE and script_of(word.text) is None


class UnreadText(NamedTuple):
    """Text of a page that is not read: its ``share`` of all text, 0..1, and the rows with most of it.

    Numbers that are read do not count: they are the same in most scripts.
    """

    share: float
    top: int
    bottom: int


def find_unread_text(words: Sequence[Word], pixels: NDArray[np.uint8]) -> UnreadText:
    """Compare the ink that looks like text with the words that were read and can be trusted."""
    ink = _ink(pixels)
    height, width = ink.shape
    trusted = [word for word in words if is_trusted(word)]
    boxes, letter_height = _letter_boxes(ink, _word_height(trusted, height))
    unread = boxes[~_covered(boxes, trusted, width, height)]
    unread_width = _total_width(unread)
    if unread_width < SMALLEST_EVIDENCE * letter_height:
        return UnreadText(0.0, 0, 0)
    with_letters = [word for word in trusted if any(map(str.isalpha, word.text))]
    read_width = _total_width(boxes[_covered(boxes, with_letters, width, height)])
    share = unread_width / (unread_width + read_width)
    top, bottom = _fullest_band(unread, round(SAMPLE_LINES * letter_height), height)
    scale = pixels.shape[0] / height
    return UnreadText(share, round(top * scale), round(bottom * scale))


def _ink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a smaller page in which ink that is darker than what is around it is 255."""
    cv2 = _vision()
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = (MOST_PIXELS / grey.size) ** 0.5
    if scale < 1:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    black = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 41, 24)
    return np.asarray(black, dtype=np.uint8)


def _word_height(words: Sequence[Word], page_height: int) -> float | None:
    if not words:
        return None
    return max(4.0, median((word.y1 - word.y0) * page_height for word in words))


def _letter_boxes(ink: NDArray[np.uint8], word_height: float | None) -> tuple[NDArray[np.int32], float]:
    """Return the boxes (x0, y0, x1, y1) of ink in the size of letters, and a word's height."""
    _, _, stats, _ = _vision().connectedComponentsWithStats(ink, connectivity=8)
    left, top, width, height = stats[1:, 0], stats[1:, 1], stats[1:, 2], stats[1:, 3]
    if word_height is None:
        readable = height[(height >= SMALLEST_LETTER) & (width <= WIDEST_INK * height)]
        word_height = WORD_PER_LETTER * float(np.median(readable)) if len(readable) else 1.0
    tall_enough = (height >= SHORTEST_LETTER * word_height) & (height <= TALLEST_LETTER * word_height)
    letters = tall_enough & (width <= WIDEST_INK * word_height)
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    return np.asarray(boxes[letters], dtype=np.int32), word_height


def _fullest_band(boxes: NDArray[np.int32], band: int, height: int) -> tuple[int, int]:
    """Return the first and last row of the band, ``band`` rows high, that has the most ink."""
    if band >= height:
        return 0, height
    middles = (boxes[:, 1] + boxes[:, 3]) // 2
    ink = np.bincount(np.clip(middles, 0, height - 1), weights=boxes[:, 2] - boxes[:, 0], minlength=height)
    total = np.concatenate([[0.0], np.cumsum(ink)])
    top = int(np.argmax(total[band:] - total[:-band]))
    return top, top + band


def _covered(boxes: NDArray[np.int32], words: Sequence[Word], width: int, height: int) -> NDArray[np.bool_]:
    """Tell of each box whether its middle lies in one of the words."""
    across = (boxes[:, 0] + boxes[:, 2]) // 2
    down = (boxes[:, 1] + boxes[:, 3]) // 2
    read = np.zeros((height, width), dtype=np.bool_)
    for word in words:
        read[
            int(word.y0 * height) : int(np.ceil(word.y1 * height)),
            int(word.x0 * width) : int(np.ceil(word.x1 * width)),
        ] = True
    return np.asarray(read[np.clip(down, 0, height - 1), np.clip(across, 0, width - 1)], dtype=np.bool_)


def _total_width(boxes: NDArray[np.int32]) -> float:
    return float((boxes[:, 2] - boxes[:, 0]).sum())


def _vision() -> Any:
    import cv2

    return cv2
