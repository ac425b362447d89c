"""Layout of a page: its tokens in lines, with their neighbours.

Lines are computed from the boxes, so that a model does not depend on the order in which a reader gives words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.printed_characters import plain
from pagemill.extraction.printed_dates import find_dates, has_digits_of_date
from pagemill.extraction.printed_numbers import LONGEST_PRINT, REMEMBERED
from pagemill.extraction.reading_order import reading_blocks
from pagemill.extraction.types import Page, Word

NEIGHBOURS = ("left", "right", "above", "below")
MAXIMUM_TOKENS = 6000
"""A page with more is cut: nothing printed has that many, and memory grows with it."""

_CHUNK = 128
_NEAR = 3
"""Lines above and below in which most tokens have their neighbours; the others are looked for everywhere."""
_SPLIT = re.compile(r"(?<=[A-Za-z]:)(?=[\w$])|(?<=[A-Za-z])(?=\()|(?<=[A-Za-z]=)(?=\S)")
_UNCUT: tuple[str, ...] = ()
_BETWEEN_NUMBERS = re.compile(
    r"(?<=\d)(?=[@\u00d7*xX]\d+[.,]\d)|(?<=\d[@\u00d7*xX])(?=\d+[.,]\d)"
    r"|(?<=[^\W\d_]{5})(?=\d[\d.,]*[.,]\d\d(?!\d))|(?<=[.,]\d\d)(?=[^\W\d_]{4})"
)
"""Places between two numbers, and between a sum of money and a word that is no currency."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Tokens of one page in reading order; ``neighbours`` holds positions, -1 where there is none."""

    page: int
    texts: list[str]
    glued: list[bool]
    boxes: NDArray[np.float32]
    lines: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    aspect: float

    def __len__(self) -> int:
        return len(self.texts)

    def text(self, start: int, end: int) -> str:
        """Return tokens start..end (inclusive) as printed: words apart, parts of a word together."""
        if True not in self.glued[start + 1 : end + 1]:
            return " ".join(self.texts[start : end + 1])
        parts = [self.texts[start]]
        for position in range(start + 1, end + 1):
            parts.append(self.texts[position] if self.glued[position] else f" {self.texts[position]}")
        return "".join(parts)

    def box(self, start: int, end: int) -> tuple[float, float, float, float]:
        """Return the box around tokens start..end (inclusive)."""
        part = np.clip(self.boxes[start : end + 1], 0.0, 1.0)
        low, high = part.min(axis=0), part.max(axis=0)
        return float(low[0]), float(low[1]), float(high[2]), float(high[3])


def _split(word: Word) -> list[tuple[Word, bool]]:
    parts = _parts(word.text) if len(word.text) <= LONGEST_PRINT else _UNCUT
    if len(parts) < 2:
        return [(word, False)]
    pieces, position, width = [], 0, word.x1 - word.x0
    for part in parts:
        left = word.x0 + width * position / len(word.text)
        position += len(part)
        right = word.x0 + width * position / len(word.text)
        pieces.append((Word(part, left, word.y0, right, word.y1, word.confidence), position > len(part)))
    return pieces


@lru_cache(maxsize=REMEMBERED)
def _parts(text: str) -> tuple[str, ...]:
    """Return the tokens of a word; none where it is one."""
    if text.isalpha() or text.isdecimal():
        return _UNCUT
    return tuple(piece for part in _SPLIT.split(text) if part for piece in _cut_values(part))


def _cut_values(text: str) -> list[str]:
    """Cut out values that a reader has glued to what stands beside them: "13/01/201810:20", "2x4.50"."""
    cuts = {match.start() for match in _BETWEEN_NUMBERS.finditer(text)}
    if has_digits_of_date(text) and len(plain(text)) == len(text):
        for date in find_dates(text):
            cuts |= {date.begin, date.end}
    edges = [0, *sorted(cuts - {0, len(text)}), len(text)]
    return [text[begin:end] for begin, end in pairwise(edges)]


def _assign_lines(boxes: NDArray[np.float32]) -> list[list[int]]:
    """Return word positions by line, top to bottom and left to right."""
    centres = (boxes[:, 1] + boxes[:, 3]) / 2
    middle_of, height_of = centres.tolist(), np.maximum(boxes[:, 3] - boxes[:, 1], 1e-4).tolist()
    left_of = boxes[:, 0].tolist()
    lines: list[list[int]] = []
    middles: list[tuple[float, float]] = []
    count = 0
    for position in np.argsort(centres, kind="stable").tolist():
        centre, height = middle_of[position], height_of[position]
        # Without calls: each word is compared with the last three lines.
        for index in range(count - 1, count - 4 if count > 3 else -1, -1):
            middle, tall = middles[index]
            low, high = (0.5 * height, 0.3 * tall) if height < tall else (0.5 * tall, 0.3 * height)
            reach = low if low > high else high
            if -reach < middle - centre < reach:
                line = lines[index]
                line.append(position)
                share = 1 / len(line)
                middles[index] = (middle + (centre - middle) * share, tall + (height - tall) * share)
                break
        else:
            lines.append([position])
            middles.append((centre, height))
            count += 1
    order = sorted(range(len(lines)), key=lambda index: middles[index][0])
    return [sorted(lines[index], key=left_of.__getitem__) for index in order]


def _lines_by_block(words: Sequence[Word], boxes: NDArray[np.float32], aspect: float) -> Iterator[list[int]]:
    """Yield word positions by line; lines of columns side by side are lines of their own."""
    for block in reading_blocks(words, aspect):
        positions = sorted(block)
        for line in _assign_lines(boxes[positions]):
            yield [positions[at] for at in line]


def _vertical_neighbours(boxes: NDArray[np.float32], lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each token the nearest one above and below that overlaps it sideways.

    ``lines`` ascend. A token on a nearer line is always nearer, however little it overlaps.
    """
    count = len(lines)
    result = np.full((count, 2), -1, dtype=np.int64)
    for begin in range(0, count, _CHUNK):
        tokens = np.arange(begin, min(begin + _CHUNK, count))
        first = np.searchsorted(lines, lines[tokens[0]] - _NEAR)
        end = np.searchsorted(lines, lines[tokens[-1]] + _NEAR, side="right")
        result[tokens] = _nearest(boxes, lines, tokens, slice(int(first), int(end)))
    lonely = np.flatnonzero((result < 0).any(axis=1))
    for begin in range(0, len(lonely), _CHUNK):
        tokens = lonely[begin : begin + _CHUNK]
        result[tokens] = _nearest(boxes, lines, tokens, slice(0, count))
    return result


def _nearest(
    boxes: NDArray[np.float32], lines: NDArray[np.int64], tokens: NDArray[np.int64], among: slice
) -> NDArray[np.int64]:
    """Return for each of some tokens the nearest one above and below among others, -1 where there is none."""
    result = np.full((len(tokens), 2), -1, dtype=np.int64)
    own_boxes, others = boxes[tokens], boxes[among]
    overlap = np.minimum(own_boxes[:, None, 2], others[None, :, 2])
    overlap -= np.maximum(own_boxes[:, None, 0], others[None, :, 0])
    pairs = np.flatnonzero(overlap > 0)
    own, other = np.divmod(pairs, len(others))
    groups = np.flatnonzero(np.diff(own, prepend=-1))
    if not len(groups):
        return result
    shared = np.minimum(overlap.ravel()[pairs], 1.0)
    other += among.start
    apart = lines[tokens[own]] - lines[other]
    sizes = np.diff(groups, append=len(own))
    for column, distance in ((0, apart), (1, -apart)):
        cost = np.where(distance > 0, distance - 0.5 * shared, np.inf)
        least = np.repeat(np.minimum.reduceat(cost, groups), sizes)
        nearest = np.flatnonzero((cost == least) & (cost < np.inf))
        # Of equally near ones the first.
        first = nearest[np.flatnonzero(np.diff(own[nearest], prepend=-1))]
        result[own[first], column] = other[first]
    return result


def _neighbours(boxes: NDArray[np.float32], lines: NDArray[np.int64]) -> NDArray[np.int64]:
    count = len(lines)
    positions = np.arange(count)
    left = np.where((positions > 0) & (np.roll(lines, 1) == lines), positions - 1, -1)
    right = np.where((positions < count - 1) & (np.roll(lines, -1) == lines), positions + 1, -1)
    return np.column_stack([left, right, _vertical_neighbours(boxes, lines)]).astype(np.int64)


def layout_page(page: Page) -> Layout:
    """Return the tokens, lines and neighbours of one page."""
    words = [word for word in page.words if word.text.strip()][:MAXIMUM_TOKENS]
    boxes = np.array([[word.x0, word.y0, word.x1, word.y1] for word in words], dtype=np.float32).reshape(
        -1, 4
    )
    pieces: list[tuple[Word, bool]] = []
    numbers: list[int] = []
    for number, line in enumerate(_lines_by_block(words, boxes, page.aspect)):
        for position in line:
            word = words[position]
            if word.text.isalpha():
                # Most words: they are not looked up.
                pieces.append((word, False))
                numbers.append(number)
                continue
            split = _split(word)
            pieces.extend(split)
            numbers.extend([number] * len(split))
    pieces, numbers = pieces[:MAXIMUM_TOKENS], numbers[:MAXIMUM_TOKENS]
    boxes = np.array([[w.x0, w.y0, w.x1, w.y1] for w, _ in pieces], dtype=np.float32).reshape(-1, 4)
    lines = np.array(numbers, dtype=np.int64)
    return Layout(
        page=page.index,
        texts=[word.text for word, _ in pieces],
        glued=[glued for _, glued in pieces],
        boxes=boxes,
        lines=lines,
        neighbours=_neighbours(boxes, lines),
        aspect=page.aspect,
    )
