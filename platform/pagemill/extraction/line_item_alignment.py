"""Alignment of line items: the places of ``lines`` ground truth, and targets made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.alignment import Occurrence, PageText, page_hint
from pagemill.extraction.alignment import locate as locate_value
from pagemill.extraction.decoding import as_text
from pagemill.extraction.printed_dates import DateOrder
from pagemill.extraction.types import FieldDefinitions

REACH = 3
"""A row's cells stand on its first line or on one of the next two."""
REACH_COST = 0.1
LINE_COST = 1e-5
"""Earlier lines win between equals: what repeats a row is printed below it."""
MAXIMUM_OCCURRENCES = 4000


LabelledCell = tuple[str, str, list[int]]
"""A cell of ground truth: column, text, and the pages that it may stand on."""


@dataclass(frozen=True, slots=True)
class LocatedRows:
    """Rows with the cells that were found, and the number of rows that were not."""

    rows: list[dict[str, Occurrence]] = field(default_factory=list)
    cells: int = 0
    unlocated: int = 0


def truth_rows(value: object, columns: FieldDefinitions) -> list[list[LabelledCell]] | None:
    """Return the rows of a nested value as (column, text, pages); None when it is not nested."""
    if not isinstance(value, list):
        return None
    raw = value if all(isinstance(row, list) for row in value) else [value]
    rows = []
    for row in raw:
        cells = []
        for item in row:
            label = item.get("label") if isinstance(item, dict) else None
            if not isinstance(label, str) or label not in columns:
                continue
            text = as_text(item.get("value"))
            if text is not None:
                cells.append((label, text, page_hint(item)))
        if cells:
            rows.append(cells)
    return rows


class _Finder:
    """Occurrences of cells by line of the whole document; each value is searched once."""

    def __init__(
        self, pages: Sequence[PageText], columns: FieldDefinitions, orders: Mapping[str, DateOrder]
    ) -> None:
        self.pages, self.columns, self.orders = pages, columns, orders
        counts = [int(page.layout.lines.max()) + 1 if len(page.layout) else 0 for page in pages]
        self.begins = np.cumsum([0, *counts])
        self.number_of_lines = int(self.begins[-1])
        self._found: dict[tuple[str, str, tuple[int, ...]], dict[int, list[Occurrence]]] = {}

    def by_line(self, cell: LabelledCell) -> dict[int, list[Occurrence]]:
        column, text, hint = cell
        key = (column, text, tuple(hint))
        if key not in self._found:
            grouped: dict[int, list[Occurrence]] = {}
            found = locate_value(self.pages, text, self.columns[column], self.orders.get(column, "day"), hint)
            for occurrence in found[:MAXIMUM_OCCURRENCES]:
                line = (
                    self.begins[occurrence.page] + self.pages[occurrence.page].layout.lines[occurrence.start]
                )
                grouped.setdefault(int(line), []).append(occurrence)
            self._found[key] = grouped
        return self._found[key]

    def anchors(self, row: Sequence[LabelledCell]) -> NDArray[np.float64]:
        """Return how well the row fits when it begins on each line."""
        scores = np.zeros(self.number_of_lines)
        for cell in row:
            best = np.zeros(self.number_of_lines)
            for line in self.by_line(cell):
                for reach in range(REACH):
                    if line - reach >= 0:
                        best[line - reach] = max(best[line - reach], 1 - REACH_COST * reach)
            scores += best
        return scores

    def choices(self, row: Sequence[LabelledCell], anchor: int) -> list[list[Occurrence]]:
        """Return for each cell the occurrences on the nearest line that has any."""
        result = []
        for cell in row:
            lines = self.by_line(cell)
            near = next((anchor + reach for reach in range(REACH) if anchor + reach in lines), None)
            result.append(lines[near] if near is not None else [])
        return result


def _assign_anchors(finder: _Finder, rows: Sequence[Sequence[LabelledCell]]) -> list[int | None]:
    """Assign a line to each row, strictly downwards, so that as many cells as possible are found."""
    lines = finder.number_of_lines
    best = np.zeros(lines + 1)
    gains: list[NDArray[np.float64]] = []
    tables = [best]
    for row in rows:
        fit = finder.anchors(row)
        gain = np.where(fit >= len(row) * 0.5, fit - LINE_COST * np.arange(lines), -np.inf)
        used = np.concatenate([[-np.inf], best[:-1] + gain])
        best = np.maximum.accumulate(np.maximum(used, best))
        gains.append(gain)
        tables.append(best)
    anchors: list[int | None] = [None] * len(rows)
    end = lines
    for index in range(len(rows) - 1, -1, -1):
        before, after = tables[index], tables[index + 1]
        while end > 0 and after[end] == after[end - 1]:
            end -= 1
        if end > 0 and after[end] == before[end - 1] + gains[index][end - 1]:
            end -= 1
            anchors[index] = end
    return anchors


def locate_rows(
    pages: Sequence[PageText],
    rows: Sequence[Sequence[LabelledCell]],
    columns: FieldDefinitions,
    orders: Mapping[str, DateOrder],
) -> LocatedRows:
    """Locate the cells of each row on the pages.

    Where columns share a value, each takes the occurrence closest to the column's usual position.
    """
    finder = _Finder(pages, columns, orders)
    if not finder.number_of_lines:
        return LocatedRows(cells=sum(map(len, rows)), unlocated=len(rows))
    chosen = [
        (row, finder.choices(row, anchor))
        for row, anchor in zip(rows, _assign_anchors(finder, rows), strict=True)
        if anchor is not None
    ]
    usual = _usual_places(pages, chosen)
    located = [_resolve(pages, row, choices, usual) for row, choices in chosen]
    return LocatedRows(located, sum(map(len, rows)), len(rows) - len(located))


def _middle(pages: Sequence[PageText], occurrence: Occurrence) -> float:
    boxes = pages[occurrence.page].layout.boxes
    return float(boxes[occurrence.start, 0] + boxes[occurrence.end, 2]) / 2


def _usual_places(
    pages: Sequence[PageText], chosen: Sequence[tuple[Sequence[LabelledCell], list[list[Occurrence]]]]
) -> dict[str, float]:
    places: dict[str, list[float]] = {}
    for row, choices in chosen:
        everywhere = [occurrence for options in choices for occurrence in options]
        for (column, _, _), options in zip(row, choices, strict=True):
            if len(options) == 1 and everywhere.count(options[0]) == 1:
                places.setdefault(column, []).append(_middle(pages, options[0]))
    return {column: float(np.median(values)) for column, values in places.items()}


def _resolve(
    pages: Sequence[PageText],
    row: Sequence[LabelledCell],
    choices: list[list[Occurrence]],
    usual: Mapping[str, float],
) -> dict[str, Occurrence]:
    result: dict[str, Occurrence] = {}
    for (column, _, _), options in sorted(zip(row, choices, strict=True), key=lambda pair: len(pair[1])):
        free = [option for option in options if option not in result.values()] or options
        if not free:
            continue
        if column in usual:
            result[column] = min(free, key=lambda option: abs(_middle(pages, option) - usual[column]))
        else:
            result[column] = free[0]
    return result


def row_targets(
    pages: Sequence[PageText], located: LocatedRows, columns: Sequence[str]
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Return per page the class of every token and where rows start.

    Classes are 0 outside, 1 + 2c for the first token of column c and 2 + 2c for its further tokens.
    """
    classes = [np.zeros(len(page.layout), dtype=np.int64) for page in pages]
    starts = [np.zeros(len(page.layout), dtype=np.float32) for page in pages]
    for row in located.rows:
        for column, occurrence in row.items():
            first = 1 + 2 * columns.index(column)
            part = classes[occurrence.page]
            part[occurrence.start] = first
            part[occurrence.start + 1 : occurrence.end + 1] = first + 1
        if row:
            begin = min(row.values(), key=lambda occurrence: (occurrence.page, occurrence.start))
            starts[begin.page][begin.start] = 1.0
    return list(zip(classes, starts, strict=True))
