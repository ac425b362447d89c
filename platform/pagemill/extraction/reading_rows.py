"""Rows of a ``lines`` field from the scores of every token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.alignment import PageText
from pagemill.extraction.decoding import DateOrder, field_type, normalise
from pagemill.extraction.types import Field

CELL_PROBABILITY = 0.5
START_PROBABILITY = 0.5


@dataclass(slots=True)
class Cell:
    """Tokens of one column; more than one span when its text goes on over lines."""

    column: str
    place: int
    spans: list[tuple[int, int]]
    probability: float
    begins_row: bool = False


@dataclass(slots=True)
class _Row:
    cells: dict[str, Cell] = field(default_factory=dict)


def _typed_cells(
    page: PageText, place: int, probabilities: NDArray[np.float32], column: str, definition: Mapping[str, Any]
) -> list[Cell]:
    """Candidates of the column's type that the scores call its own, the likeliest first where they overlap."""
    spans = page.spans(definition)
    if spans is None or not len(spans):
        return []
    running = np.concatenate([[0.0], np.cumsum(probabilities)])
    means = (running[spans.ends + 1] - running[spans.starts]) / (spans.ends - spans.starts + 1)
    taken: set[int] = set()
    cells = []
    for index in np.argsort(-means - 1e-3 * (spans.ends - spans.starts), kind="stable").tolist():
        start, end = int(spans.starts[index]), int(spans.ends[index])
        if means[index] < CELL_PROBABILITY:
            break
        if taken.isdisjoint(range(start, end + 1)):
            taken.update(range(start, end + 1))
            cells.append(Cell(column, place, [(start, end)], float(means[index])))
    return cells


def _string_cells(
    page: PageText, place: int, first: NDArray[np.float32], inside: NDArray[np.float32], column: str
) -> list[Cell]:
    """Runs of tokens of the column, cut where a value starts anew or a line ends."""
    total = first + inside
    cells: list[Cell] = []
    lines = page.layout.lines
    for token in np.flatnonzero(total >= CELL_PROBABILITY).tolist():
        last = cells[-1] if cells else None
        if (
            last
            and last.spans[-1][1] == token - 1
            and first[token] < inside[token]
            and lines[token] == lines[token - 1]
        ):
            last.spans[-1] = (last.spans[-1][0], token)
            last.probability = min(last.probability, float(total[token]))
        else:
            cells.append(Cell(column, place, [(token, token)], float(total[token])))
            cells[-1].begins_row = bool(first[token] >= inside[token])
    return cells


def _continues(row: _Row, cell: Cell, starts_value: bool) -> bool:
    """Whether a string goes on from the row's own cell of that column on the line before."""
    return not starts_value and cell.column in row.cells


def _group(cells: list[tuple[Cell, bool, float]]) -> list[_Row]:
    rows: list[_Row] = []
    for cell, starts_value, start in cells:
        if rows and _continues(rows[-1], cell, starts_value) and start < START_PROBABILITY:
            previous = rows[-1].cells[cell.column]
            if previous.place == cell.place:
                previous.spans += cell.spans
                previous.probability = min(previous.probability, cell.probability)
                continue
        if not rows or cell.column in rows[-1].cells or start >= START_PROBABILITY:
            rows.append(_Row())
        rows[-1].cells[cell.column] = cell
    return rows


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def read_rows(
    pages: Sequence[PageText],
    scores: Sequence[NDArray[np.float32]],
    columns: Mapping[str, Mapping[str, Any]],
    orders: Mapping[str, DateOrder],
) -> list[list[Field]]:
    """The rows over all pages, in reading order."""
    found: list[tuple[Cell, bool, float]] = []
    for place, (page, part) in enumerate(zip(pages, scores, strict=True)):
        if not len(part):
            continue
        starts = 1 / (1 + np.exp(-np.clip(part[:, 0], -30, 30)))
        probabilities = softmax(part[:, 1:])
        cells: list[Cell] = []
        for index, (column, definition) in enumerate(columns.items()):
            first, inside = probabilities[:, 1 + 2 * index], probabilities[:, 2 + 2 * index]
            if field_type(definition) == "string":
                cells += _string_cells(page, place, first, inside, column)
            else:
                cells += _typed_cells(page, place, first + inside, column, definition)
                for cell in cells:
                    cell.begins_row = cell.begins_row or field_type(columns[cell.column]) != "string"
        cells.sort(key=lambda cell: cell.spans[0])
        found += [(cell, cell.begins_row, float(starts[cell.spans[0][0]])) for cell in cells]
    rows = []
    for row in _group(found):
        fields = [
            value
            for column in columns
            if (cell := row.cells.get(column)) is not None
            and (value := _cell_field(pages, cell, columns[column], orders.get(column, "day"))) is not None
        ]
        if fields:
            rows.append(fields)
    return rows


def _cell_field(
    pages: Sequence[PageText], cell: Cell, definition: Mapping[str, Any], order: DateOrder
) -> Field | None:
    layout = pages[cell.place].layout
    raw = " ".join(layout.text(start, end) for start, end in cell.spans)
    value = normalise(raw, definition, order)
    if value is None:
        return None
    boxes = [layout.box(start, end) for start, end in cell.spans]
    location = (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
    return Field(cell.column, value, min(max(cell.probability, 0.0), 1.0), raw, layout.page, location)
