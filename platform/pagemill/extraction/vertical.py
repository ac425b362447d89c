"""Words that are written upwards or downwards."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from pagemill.extraction.types import Word
from pagemill.rotation import Rotation

VERTICAL = 1.5
"""Least height of a vertical word as a multiple of its width; that of "illi", printed level, is 1.3."""
SHORTEST_WORD = 4
SHORTEST_WIDE_WORD = 2
WORD_SPACE = 0.8
"""Space between words of a vertical line as a share of its thickness."""
SAME_EDGE = 0.03
EDGE_BUCKET = 0.002

WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff01-\uff60]+")
"""Scripts whose letters are as wide as high; their vertical lines run downwards."""


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


def vertical_words(words: Sequence[Word], aspect: float) -> tuple[list[int], list[int]]:
    """Return the positions of words that are written upwards, and of those written downwards.

    The order of the words tells the direction of a line; one that does not tell runs upwards, as notes at a
    page's side mostly do, unless its script is written downwards.
    """
    tall = VERTICAL * aspect
    found = [
        position
        for position, word in enumerate(words)
        if word.y1 - word.y0 > tall * (word.x1 - word.x0) and _is_long(word.text)
    ]
    upward: list[int] = []
    downward: list[int] = []
    if found:
        for line in _lines(words, _with_short_words(words, found, aspect)):
            (downward if _runs_down(words, line) else upward).extend(line)
    return upward, downward


def _is_long(text: str) -> bool:
    return len(text) >= SHORTEST_WORD or (
        len(text) >= SHORTEST_WIDE_WORD and WIDE.fullmatch(text) is not None
    )


def _with_short_words(words: Sequence[Word], found: Sequence[int], aspect: float) -> list[int]:
    """Add words that are too short to tell but continue a vertical line: as thick, in line, and close."""
    by_left: dict[int, list[int]] = {}
    for position, word in enumerate(words):
        by_left.setdefault(round(word.x0 / EDGE_BUCKET), []).append(position)
    vertical = set(found)
    for bucket in {round(words[position].x0 / EDGE_BUCKET) for position in found}:
        near = [at for key in (bucket - 1, bucket, bucket + 1) for at in by_left.get(key, [])]
        near.sort(key=lambda at: words[at].y0)
        for along in (near, near[::-1]):
            _continue_lines(words, along, vertical, aspect)
    return sorted(vertical)


def _continue_lines(words: Sequence[Word], along: Sequence[int], vertical: set[int], aspect: float) -> None:
    last: Word | None = None
    for position in along:
        word = words[position]
        if position not in vertical and last is not None and _continues(last, word, aspect):
            vertical.add(position)
        if position in vertical:
            last = word


def _continues(line: Word, word: Word, aspect: float) -> bool:
    thickness = line.x1 - line.x0
    aligned = max(abs(line.x0 - word.x0), abs(line.x1 - word.x1)) <= SAME_EDGE * thickness
    return aligned and max(word.y0 - line.y1, line.y0 - word.y1) <= WORD_SPACE * thickness * aspect


def _lines(words: Sequence[Word], positions: Sequence[int]) -> list[list[int]]:
    """Return vertical lines, the words of each in the order given."""
    lines: list[list[int]] = []
    right = -1.0
    for position in sorted(positions, key=lambda at: words[at].x0 + words[at].x1):
        middle = (words[position].x0 + words[position].x1) / 2
        if middle > right:
            lines.append([])
            right = words[position].x1
        lines[-1].append(position)
    return [sorted(line) for line in lines]


def _runs_down(words: Sequence[Word], line: Sequence[int]) -> bool:
    if any(WIDE.search(words[position].text) for position in line):
        return True
    tops = [words[position].y0 for position in line]
    down = sum(after > before for before, after in itertools.pairwise(tops))
    return down > (len(tops) - 1) / 2
