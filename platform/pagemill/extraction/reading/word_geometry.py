"""Geometry of words: reading order, rotation, and plain characters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pagemill.extraction.types import Word
from pagemill.rotation import Rotation

SAME_LINE_OVERLAP = 0.5
HORIZONTAL_OVERLAP_ALLOWED = 0.3
LIGATURES = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
FULL_WIDTH_OFFSET = 0xFEE0
PLAIN = {code: chr(code - FULL_WIDTH_OFFSET) for code in range(0xFF01, 0xFF5F)} | LIGATURES


def plain(text: str) -> str:
    """Replace ligatures and full-width forms, which are typesetting, by the letters they stand for."""
    return text.translate(PLAIN)


def in_reading_order(words: Sequence[Word]) -> list[Word]:
    """Sort words by line from the top, then from the left. Lines may be slightly skewed."""
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda word: word.x0):
        line = _line_of(word, lines)
        if line is None:
            lines.append([word])
        else:
            line.append(word)
    lines.sort(key=lambda line: sum(word.y0 + word.y1 for word in line) / len(line))
    return [word for line in lines for word in line]


def _line_of(word: Word, lines: list[list[Word]]) -> list[Word] | None:
    best, best_overlap = None, SAME_LINE_OVERLAP
    for line in lines:
        last = line[-1]
        overlap = min(last.y1, word.y1) - max(last.y0, word.y0)
        height = min(last.y1 - last.y0, word.y1 - word.y0)
        width = min(last.x1 - last.x0, word.x1 - word.x0)
        if last.x1 - word.x0 > HORIZONTAL_OVERLAP_ALLOWED * width:
            continue
        if height > 0 and overlap / height > best_overlap:
            best, best_overlap = line, overlap / height
    return best


def turn_word(word: Word, rotation: Rotation) -> Word:
    """Return the word's box on a page that is turned clockwise."""
    x0, y0, x1, y1 = word.x0, word.y0, word.x1, word.y1
    if rotation == 90:
        x0, y0, x1, y1 = 1 - y1, x0, 1 - y0, x1
    elif rotation == 180:
        x0, y0, x1, y1 = 1 - x1, 1 - y1, 1 - x0, 1 - y0
    elif rotation == 270:
        x0, y0, x1, y1 = y0, 1 - x1, y1, 1 - x0
    return Word(word.text, x0, y0, x1, y1, word.confidence)


def rotation_to_upright(directions: Sequence[tuple[float, float]]) -> Rotation:
    """Return the clockwise turn that makes most writing directions run to the right (y goes down)."""
    rotations: tuple[Rotation, ...] = (0, 270, 180, 90)
    quarters = Counter(round(math.atan2(down, right) / (math.pi / 2)) % 4 for right, down in directions)
    return rotations[quarters.most_common(1)[0][0]] if quarters else 0
