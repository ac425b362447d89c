"""Layout of a page: its tokens in lines, with their neighbours.

Lines are computed from the boxes, so that a model does not depend on the order in which a reader gives words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.reading_order import reading_blocks
from pagemill.extraction.types import Page, Word

NEIGHBOURS = ("left", "right", "above", "below")
MAXIMUM_TOKENS = 6000
"""A page with more is cut: nothing printed has that many, and memory grows with it."""

_CHUNK = 512
_DATE = r"\d{1,2}[/.-]\d{1,2}[/.-](?:\d{4}|\d{2})|\d{4}[/.-]\d{1,2}[/.-]\d{1,2}"
_SPLIT = re.compile(
    rf"(?<=[A-Za-z:(])(?=(?:{_DATE})(?!\d))"
    rf"|(?<=\d[/.-]\d\d)(?=[-–(]\d)|(?<=\d[/.-]\d{{4}})(?=[-–(]\d)|(?<=\d[/.-]\d\d-)(?=\d\d?/)|(?<=\d[/.-]\d{{4}}-)(?=\d\d?/)"
    r"|(?<=[A-Za-z]:)(?=[\w$])|(?<=[A-Za-z])(?=\()|(?<=[A-Za-z]=)(?=\S)"
)


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
    parts = [part for part in _SPLIT.split(word.text) if part]
    if len(parts) < 2:
        return [(word, False)]
    pieces, position, width = [], 0, word.x1 - word.x0
    for part in parts:
        left = word.x0 + width * position / len(word.text)
        position += len(part)
        right = word.x0 + width * position / len(word.text)
        pieces.append((Word(part, left, word.y0, right, word.y1, word.confidence), position > len(part)))
    return pieces


def _assign_lines(boxes: NDArray[np.float32]) -> list[list[int]]:
    """Return word positions by line, top to bottom and left to right."""
    centres = (boxes[:, 1] + boxes[:, 3]) / 2
    middle_of, height_of = centres.tolist(), np.maximum(boxes[:, 3] - boxes[:, 1], 1e-4).tolist()
    left_of = boxes[:, 0].tolist()
    lines: list[list[int]] = []
    middles: list[tuple[float, float]] = []
    for position in np.argsort(centres, kind="stable").tolist():
        centre, height = middle_of[position], height_of[position]
        for index in range(len(lines) - 1, max(len(lines) - 4, -1), -1):
            middle, tall = middles[index]
            if abs(middle - centre) < max(0.5 * min(height, tall), 0.3 * max(height, tall)):
                lines[index].append(position)
                share = 1 / len(lines[index])
                middles[index] = (middle + (centre - middle) * share, tall + (height - tall) * share)
                break
        else:
            lines.append([position])
            middles.append((centre, height))
    order = sorted(range(len(lines)), key=lambda index: middles[index][0])
    return [sorted(lines[index], key=left_of.__getitem__) for index in order]


def _lines_by_block(words: Sequence[Word], boxes: NDArray[np.float32], aspect: float) -> Iterator[list[int]]:
    """Yield word positions by line; lines of columns side by side are lines of their own."""
    for block in reading_blocks(words, aspect):
        positions = np.array(sorted(block), dtype=np.int64)
        for line in _assign_lines(boxes[positions]):
            yield positions[line].tolist()


def _vertical_neighbours(boxes: NDArray[np.float32], lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each token the nearest one above and below that overlaps it sideways."""
    result = np.full((len(lines), 2), -1, dtype=np.int64)
    for begin in range(0, len(lines), _CHUNK):
        part = boxes[begin : begin + _CHUNK]
        overlap = np.minimum(part[:, None, 2], boxes[None, :, 2]) - np.maximum(
            part[:, None, 0], boxes[None, :, 0]
        )
        own, other = np.nonzero(overlap > 0)
        groups = np.flatnonzero(np.diff(own, prepend=-1))
        if not len(groups):
            continue
        shared = np.minimum(overlap[own, other], 1.0)
        apart = lines[own + begin] - lines[other]
        for column, distance in ((0, apart), (1, -apart)):
            cost = np.where(distance > 0, distance - 0.5 * shared, np.inf)
            least = np.minimum.reduceat(cost, groups)
            nearest = np.flatnonzero(
                (cost == np.repeat(least, np.diff(groups, append=len(own)))) & (cost < np.inf)
            )
            tokens, first = np.unique(own[nearest], return_index=True)
            result[tokens + begin, column] = other[nearest[first]]
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
            split = _split(words[position])
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
