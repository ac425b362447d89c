"""Geometry of words: reading order, rotation, and plain characters."""

from __future__ import annotations

import unicodedata
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
PRESENTATION_FORMS = {
    code: "".join(unicodedata.normalize("NFKC", chr(code)).split())
    for code in (*range(0xFB1D, 0xFDF0), *range(0xFDF2, 0xFDFA), 0xFDFC, *range(0xFE70, 0xFEFD))
}
"""Hebrew and Arabic letters in the shape that their place in the word gives them."""
PLAIN = (
    PRESENTATION_FORMS | {code: chr(code - FULL_WIDTH_OFFSET) for code in range(0xFF01, 0xFF5F)} | LIGATURES
)


def plain(text: str) -> str:
    """Replace ligatures and other forms that are typesetting by the letters they stand for."""
    return text.translate(PLAIN)


def rotation_to_upright(directions: Sequence[tuple[float, float]]) -> Rotation:
    """Return the clockwise turn that makes most writing directions run to the right (y goes down)."""
    rotations: tuple[Rotation, ...] = (0, 270, 180, 90)
    quarters = Counter([_quarter(right, down) for right, down in directions])
    return rotations[quarters.most_common(1)[0][0]] if quarters else 0


def _quarter(right: float, down: float) -> int:
    """Return the quarter turn, clockwise from the right, that is nearest to a direction."""
    if abs(down) <= abs(right):
        return 0 if right >= 0 else 2
    return 1 if down > 0 else 3
