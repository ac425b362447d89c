"""Order in which a person reads the words of a page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from pagemill.extraction.bidirectional import RIGHT_TO_LEFT, Direction, logical_order, text_direction
from pagemill.extraction.columns import GUTTER, find_zones, rows_of, side_of
from pagemill.extraction.text_lines import TextLine, join_runs, skew, text_lines
from pagemill.extraction.types import Word
from pagemill.extraction.vertical import turn_word, vertical_words
from pagemill.rotation import Rotation

LEAST_SKEW = 0.004
"""Slope (height of the page over its width) from which lines are levelled before they are followed."""


def in_reading_order(words: Sequence[Word], aspect: float = 1.0) -> list[Word]:
    """Sort words by blocks and lines. ``aspect`` is width / height of the page.

    Blocks side by side are read one after the other, the rows of tables across. Right-to-left lines come in
    logical order. Vertical lines follow the horizontal ones, or precede them where most text is vertical. The
    order given tells only whether a vertical line runs up or down.
    """
    return [words[position] for position in reading_order(words, aspect)]


def reading_order(words: Sequence[Word], aspect: float = 1.0) -> list[int]:
    """Return the positions of words in reading order."""
    upward, downward = vertical_words(words, aspect)
    if not upward and not downward:
        return _horizontal_order(words, aspect)
    vertical = {*upward, *downward}
    level = [position for position in range(len(words)) if position not in vertical]
    parts: list[tuple[list[int], Rotation]] = [(level, 0), (upward, 90), (downward, 270)]
    parts.sort(key=lambda part: -sum(len(words[position].text) for position in part[0]))
    order: list[int] = []
    for positions, rotation in parts:
        part = [turn_word(words[position], rotation) for position in positions]
        shape = aspect if rotation == 0 else 1 / aspect
        order.extend(positions[at] for at in _horizontal_order(part, shape))
    return order


def reading_blocks(words: Sequence[Word], aspect: float = 1.0) -> list[list[int]]:
    """Return the positions of words by block: all in one unless the page has columns."""
    upward, downward = vertical_words(words, aspect)
    vertical = {*upward, *downward}
    level = [position for position in range(len(words)) if position not in vertical]
    blocks = _blocks([words[position] for position in level] if vertical else words, aspect)
    if len(blocks) < 2:
        return [list(range(len(words)))] if words else []
    found = [[level[at] for line in block for run in line for at in run.words] for block in blocks]
    return [*found, sorted(vertical)] if vertical else found


def _horizontal_order(words: Sequence[Word], aspect: float) -> list[int]:
    blocks = _blocks(words, aspect)
    if not _has_right_to_left(words):
        return [at for block in blocks for line in block for run in line for at in run.words]
    right_to_left = is_right_to_left(words)
    return [
        at for block in blocks for line in block for at in _logical_line(line, words, aspect, right_to_left)
    ]


def is_right_to_left(words: Sequence[Word]) -> bool:
    """Return whether most words of a page are written from right to left."""
    if not _has_right_to_left(words):
        return False
    directions = [text_direction(word.text) for word in words]
    return directions.count("right") > directions.count("left")


def _has_right_to_left(words: Sequence[Word]) -> bool:
    text = " ".join([word.text for word in words])
    return not text.isascii() and RIGHT_TO_LEFT.search(text) is not None


def _blocks(words: Sequence[Word], aspect: float) -> list[list[TextLine]]:
    lines = text_lines(words, range(len(words)), aspect)
    slope = skew(lines)
    if abs(slope) > LEAST_SKEW:
        words = [_levelled(word, slope) for word in words]
        lines = text_lines(words, range(len(words)), aspect)
    rows = rows_of(lines, aspect)
    zones = find_zones(rows, words, aspect)
    if not zones:
        return [lines]
    right_to_left = is_right_to_left(words)
    blocks: list[list[TextLine]] = []
    done = 0
    for start, end, gaps in zones:
        columns: list[TextLine] = [[] for _ in range(len(gaps) + 1)]
        for row in rows[start:end]:
            for cell in row.cells:
                columns[side_of(cell, gaps)].extend(cell.runs)
        blocks.append(lines[done:start])
        blocks.extend(join_runs(column) for column in (columns[::-1] if right_to_left else columns))
        done = end
    blocks.append(lines[done:])
    return [block for block in blocks if block]


def _levelled(word: Word, slope: float) -> Word:
    fall = slope * (word.x0 + word.x1) / 2
    return Word(word.text, word.x0, word.y0 - fall, word.x1, word.y1 - fall)


def _logical_line(line: TextLine, words: Sequence[Word], aspect: float, right_to_left: bool) -> list[int]:
    """Return the words of a line; parts that stand apart are read in the page's direction."""
    positions = [at for run in line for at in run.words]
    parts: list[list[int]] = [[positions[0]]]
    for before, after in pairwise(positions):
        height = max(words[before].y1 - words[before].y0, words[after].y1 - words[after].y0)
        if (words[after].x0 - words[before].x1) * aspect > GUTTER * height:
            parts.append([])
        parts[-1].append(after)
    order: list[int] = []
    for part in parts[::-1] if right_to_left else parts:
        directions = [text_direction(words[at].text) for at in part]
        base = _base_direction(directions, right_to_left)
        order.extend(part[at] for at in logical_order(directions, right_to_left=base))
    return order


def _base_direction(directions: Sequence[Direction], right_to_left: bool) -> bool:
    """Return whether a line runs from right to left: as most of its spans do, or else as the page does."""
    spans = [direction for direction, _ in groupby(one for one in directions if one in ("left", "right"))]
    left, right = spans.count("left"), spans.count("right")
    return right_to_left if left == right else right > left
