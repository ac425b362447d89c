"""Geometry of words: reading order, rotation, and plain characters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pagemill.extraction.reading_order import in_reading_order
from pagemill.extraction.vertical import turn_word
from pagemill.rotation import Rotation

__all__ = ["in_reading_order", "plain", "rotation_to_upright", "turn_word"]

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


def rotation_to_upright(directions: Sequence[tuple[float, float]]) -> Rotation:
    """Return the clockwise turn that makes most writing directions run to the right (y goes down)."""
    rotations: tuple[Rotation, ...] = (0, 270, 180, 90)
    quarters = Counter(round(math.atan2(down, right) / (math.pi / 2)) % 4 for right, down in directions)
    return rotations[quarters.most_common(1)[0][0]] if quarters else 0
