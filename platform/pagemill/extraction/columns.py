"""Columns of text: blocks that stand side by side and are each read to their end.

White space alone does not tell columns from tables: a table is read row by row. So a gutter is cut only where
what stands on its sides reads as text of its own: running text, addresses, or lines of "label: value".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from pagemill.extraction.bidirectional import RIGHT_TO_LEFT
from pagemill.extraction.text_lines import Run, TextLine
from pagemill.extraction.types import Word

GUTTER = 0.9
"""Narrowest gap between columns as a share of the lines' height: that of 10 point text is 10 points."""
ZONE_GAP = 1.8
"""White space between two lines, as a share of their height, that ends columns."""
MOST_COLUMNS = 4
MOST_CELLS = 1.4
"""Cells of a row between two gutters, on average; a table that its rows do not align has more."""
ROWS_LOOKED_BACK = 60
"""Rows above the first with a gap that may belong to a column: the bound that keeps long pages linear."""
FEWEST_ROWS = 2
ROWS_NEEDED = 3
TEXT_ROWS = 0.65
RUNNING_WORDS = 3.5
LABELLED_ROWS = 0.6
LABEL_WORDS = 3
FEWEST_LETTERS = 3
DIFFERENT_BASELINES = 0.2
STAGGERED = 0.1
"""Overlap of two lines in height, as a share of it, from which they stand side by side."""
MOSTLY = 0.7

_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
"""Scripts that put no spaces between words, or words of one or two letters."""


@dataclass(slots=True)
class Cell:
    """Runs of one line that are closer to each other than a gutter."""

    runs: list[Run]
    x0: float
    x1: float


class Row(NamedTuple):
    """One line across the page, in cells from the left."""

    cells: list[Cell]
    top: float
    bottom: float
    height: float
    """The median height of the runs."""


@dataclass(slots=True)
class Column:
    """Content between two gutters: the text of each row that has any, by the row's number."""

    texts: dict[int, str] = field(default_factory=dict)
    middles: dict[int, float] = field(default_factory=dict)
    cells: int = 0

    @property
    def count(self) -> int:
        """Return the number of rows with text."""
        return len(self.texts)

    def share(self, rows: float) -> float:
        """Return rows as a share of the rows with text."""
        return rows / max(self.count, 1)

    def words_per_row(self) -> float:
        """Return the mean number of words of a row."""
        return self.share(sum(map(_count_words, self.texts.values())))

    def with_digits(self) -> int:
        """Return the number of rows that hold a digit."""
        return sum(_DIGIT.search(text) is not None for text in self.texts.values())

    def has_pairs(self) -> bool:
        """Return whether most rows are a label and its value."""
        return self.share(sum(":" in text for text in self.texts.values())) >= LABELLED_ROWS

    def labels(self) -> bool:
        """Return whether most rows are nothing but a label that ends with a colon."""
        return self.share(sum(_is_label(text) for text in self.texts.values())) >= LABELLED_ROWS

    def is_text(self) -> bool:
        """Return whether most rows read as text: words, mostly letters, in one cell."""
        if self.cells > 1.2 * self.count or self.labels():
            return False
        return self.share(sum(map(_text_share, self.texts.values()))) >= TEXT_ROWS


def rows_of(lines: Sequence[TextLine], aspect: float) -> list[Row]:
    """Return lines as rows, cut into cells at gaps that are wide enough for a gutter."""
    rows: list[Row] = []
    for line in lines:
        if len(line) == 1:
            run = line[0]
            rows.append(Row([Cell([run], run.x0, run.x1)], run.y0, run.y1, run.y1 - run.y0))
            continue
        heights = [run.y1 - run.y0 for run in line]
        cell = Cell([line[0]], line[0].x0, line[0].x1)
        cells = [cell]
        for position, run in enumerate(line[1:], 1):
            gap = (run.x0 - cell.x1) * aspect
            if gap > GUTTER * heights[position] and gap > GUTTER * heights[position - 1]:
                cell = Cell([run], run.x0, run.x1)
                cells.append(cell)
            else:
                cell.runs.append(run)
                if run.x1 > cell.x1:
                    cell.x1 = run.x1
        top, bottom = min([run.y0 for run in line]), max([run.y1 for run in line])
        rows.append(Row(cells, top, bottom, _median(heights)))
    return rows


def _median(values: list[float]) -> float:
    """Return the median, in a tenth of the time that the standard library takes for a few values."""
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


Gap = tuple[float, float]


def find_zones(rows: Sequence[Row], words: Sequence[Word], aspect: float) -> list[tuple[int, int, list[Gap]]]:
    """Return (first row, row after the last, gutters from the left) of each part that is read by columns."""
    zones: list[tuple[int, int, list[Gap]]] = []
    floor = position = 0
    while position < len(rows):
        gaps = _gaps(rows, position, aspect)
        if not gaps:
            position += 1
            continue
        start, end, gaps = _extend(rows, position, floor, gaps, aspect)
        cuts = _cuts(rows[start:end], gaps, words)
        if cuts:
            zones.append((start, end, cuts))
            floor = end
        position = end
    return zones


def _gaps(rows: Sequence[Row], position: int, aspect: float) -> list[Gap]:
    """Return the gaps of a row, or the one between two rows that stand side by side at different heights."""
    row = rows[position]
    if len(row.cells) > 1:
        return [(left.x1, right.x0) for left, right in pairwise(row.cells)]
    below = rows[position + 1] if position + 1 < len(rows) else row
    if len(below.cells) > 1 or row.bottom - below.top <= STAGGERED * row.height:
        return []
    left, right = sorted((row.cells[0], below.cells[0]), key=lambda cell: cell.x0)
    return [(left.x1, right.x0)] if (right.x0 - left.x1) * aspect > GUTTER * row.height else []


def side_of(cell: Cell, gaps: Sequence[Gap]) -> int:
    """Return the number of the column, from the left, that a cell stands in."""
    middle = cell.x0 + cell.x1
    for number, (low, high) in enumerate(gaps):
        if middle < low + high:
            return number
    return len(gaps)


def _extend(
    rows: Sequence[Row], seed: int, floor: int, gaps: list[Gap], aspect: float
) -> tuple[int, int, list[Gap]]:
    """Follow the gaps of a row down and up, as long as one of them stays open and no white space ends it."""
    start, end = seed, seed + 1
    while end < len(rows) and not _apart(rows[end - 1], rows[end]):
        narrowed = _narrowed(gaps, rows[end], aspect)
        if not narrowed:
            break
        gaps, end = narrowed, end + 1
    lowest = max(floor, seed - ROWS_LOOKED_BACK)
    while start > lowest and not _apart(rows[start - 1], rows[start]):
        narrowed = _narrowed(gaps, rows[start - 1], aspect)
        if not narrowed:
            break
        gaps, start = narrowed, start - 1
    return start, end, gaps


def _apart(above: Row, below: Row) -> bool:
    return below.top - above.bottom > ZONE_GAP * min(above.height, below.height)


def _narrowed(gaps: Sequence[Gap], row: Row, aspect: float) -> list[Gap]:
    """Return what a row leaves open of gaps, without those that become too narrow."""
    narrowest = GUTTER * row.height / aspect
    left_open: list[Gap] = []
    for low, high in gaps:
        for cell in row.cells:
            left, right = cell.x0, cell.x1
            if right <= low or left >= high:
                continue
            if left - low >= high - right:
                high = left
            else:
                low = right
        if high - low >= narrowest:
            left_open.append((low, high))
    return left_open


def _cuts(rows: Sequence[Row], gaps: list[Gap], words: Sequence[Word]) -> list[Gap]:
    """Return the gutters to read by columns; none where the rows are those of a table or a form."""
    if len(gaps) >= MOST_COLUMNS or len(rows) < ROWS_NEEDED:
        return []
    if sum([len(row.cells) for row in rows]) > MOST_CELLS * len(rows) * (len(gaps) + 1):
        return []
    columns = _columns(rows, gaps, words)
    if all(column.is_text() for column in columns) and _are_independent(columns, rows):
        return gaps
    if len(columns) == 3 and _is_block(columns[0]) and columns[1].labels():
        return gaps[:1]
    if len(columns) == 3 and _is_block(columns[2]) and columns[0].labels():
        return gaps[1:]
    return []


def _columns(rows: Sequence[Row], gaps: list[Gap], words: Sequence[Word]) -> list[Column]:
    columns = [Column() for _ in range(len(gaps) + 1)]
    for number, row in enumerate(rows):
        for cell in row.cells:
            column = columns[side_of(cell, gaps)]
            text = " ".join(words[at].text for run in cell.runs for at in run.words)
            column.texts[number] = f"{column.texts[number]} {text}" if number in column.texts else text
            column.middles[number] = sum([run.middle for run in cell.runs]) / len(cell.runs)
            column.cells += 1
    return columns


def _is_block(column: Column) -> bool:
    return column.count >= FEWEST_ROWS and column.is_text() and column.with_digits() > 0


def _are_independent(columns: Sequence[Column], rows: Sequence[Row]) -> bool:
    """Return whether columns of text are read on their own, and not as labels beside their values."""
    counts = [column.count for column in columns]
    if (
        min(counts) < FEWEST_ROWS
        or max(counts) < ROWS_NEEDED
        or all(column.has_pairs() for column in columns)
    ):
        return False
    if all(column.words_per_row() >= RUNNING_WORDS for column in columns):
        return True
    right_to_left = any(RIGHT_TO_LEFT.search(text) for text in columns[-1].texts.values())
    labels = columns[-1] if right_to_left else columns[0]
    are_addresses = _may_be_addresses(columns) and not _may_label(labels)
    return are_addresses or _have_headings(columns) or _have_different_baselines(columns, rows)


def _may_be_addresses(columns: Sequence[Column]) -> bool:
    """Return whether digits are in each column but not in each row, or in some where one is longer."""
    digits = [column.with_digits() for column in columns]
    counts = [column.count for column in columns]
    return digits != counts and (all(digits) or (any(digits) and len(set(counts)) > 1))


def _may_label(labels: Column) -> bool:
    """Return whether each row is a few words without digits; rows of addresses have digits."""
    short = all(_count_words(text) <= LABEL_WORDS for text in labels.texts.values())
    return short and not labels.with_digits()


def _have_headings(columns: Sequence[Column]) -> bool:
    """Return whether each column begins with a heading such as "Bill to:", and holds no other label."""
    return all(
        [number for number, text in column.texts.items() if text.rstrip().endswith(":")]
        == [min(column.texts)]
        for column in columns
    )


def _have_different_baselines(columns: Sequence[Column], rows: Sequence[Row]) -> bool:
    """Return whether most lines stand between those of the other columns, where there are any."""
    first = max(min(column.middles) for column in columns)
    last = min(max(column.middles) for column in columns)
    different = 0
    for number in range(first, last + 1):
        middles = [column.middles[number] for column in columns if number in column.middles]
        apart = max(middles) - min(middles) > DIFFERENT_BASELINES * rows[number].height
        different += apart or len(middles) < 2
    return different > MOSTLY * (last - first + 1) > 0 and all(
        column.words_per_row() >= 2 for column in columns
    )


def _count_words(text: str) -> float:
    wide = len(_WIDE.findall(text))
    return wide / 2 if wide > len(text) / 2 else text.count(" ") + 1


def _is_label(text: str) -> bool:
    return text.rstrip().endswith((":", "：")) and _count_words(text) <= LABEL_WORDS + 1


def _text_share(text: str) -> float:
    """Return 1 for a row of text, 0 for an amount or a code, a half for a single word: it may be a town."""
    letters, digits = len(_LETTER.findall(text)), len(_DIGIT.findall(text))
    if _count_words(text) < 2:
        return 0.5 if letters >= FEWEST_LETTERS and not digits else 0.0
    first = text.split(" ", 1)[0]
    # "Due 17.09.2024" is read on its own, "EUR 320.00" is not.
    opens = len(_LETTER.findall(first)) >= FEWEST_LETTERS and not (
        len(first) == FEWEST_LETTERS and first.isupper()
    )
    return float(opens or letters > max(digits, FEWEST_LETTERS if digits else 0))
