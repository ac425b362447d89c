"""Decoding of line items: rows of a ``lines`` field from the scores of every token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.alignment import PageText
from pagemill.extraction.conventions import CellReader
from pagemill.extraction.decoding import field_type
from pagemill.extraction.types import Field, FieldDefinition, FieldDefinitions

CELL_PROBABILITY = 0.5
START_PROBABILITY = 0.5


@dataclass(slots=True)
class TokenCell:
    """Tokens of one column; more than one span when its text continues on another line."""

    column: str
    place: int
    spans: list[tuple[int, int]]
    probability: float
    starts_value: bool


@dataclass(slots=True)
class _TokenRow:
    cells: dict[str, TokenCell] = field(default_factory=dict)


def _typed_cells(
    page: PageText, place: int, probabilities: NDArray[np.float32], column: str, definition: FieldDefinition
) -> list[TokenCell]:
    """Return the candidates of the column's type that the scores assign to it, without overlaps.

    Of overlapping ones the highest sum over tokens wins, not the highest mean: "2 076.25" is one amount,
    however sure its "2" alone is.
    """
    spans = page.spans(definition)
    if spans is None or not len(spans):
        return []
    running = np.concatenate([[0.0], np.cumsum(probabilities)])
    lengths = spans.ends - spans.starts + 1
    means = (running[spans.ends + 1] - running[spans.starts]) / lengths
    taken: set[int] = set()
    cells = []
    for index in np.argsort(-lengths * (means - CELL_PROBABILITY), kind="stable").tolist():
        start, end = int(spans.starts[index]), int(spans.ends[index])
        if means[index] < CELL_PROBABILITY:
            break
        if taken.isdisjoint(range(start, end + 1)):
            taken.update(range(start, end + 1))
            cells.append(TokenCell(column, place, [(start, end)], float(means[index]), starts_value=True))
    return cells


def _string_cells(
    page: PageText, place: int, first: NDArray[np.float32], inside: NDArray[np.float32], column: str
) -> list[TokenCell]:
    """Return runs of tokens of the column, cut where a value starts or a line ends."""
    total = first + inside
    cells: list[TokenCell] = []
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
            starts_value = bool(first[token] >= inside[token])
            cells.append(TokenCell(column, place, [(token, token)], float(total[token]), starts_value))
    return cells


def _continued(row: _TokenRow, cell: TokenCell) -> TokenCell | None:
    """Return the row's cell that a string continues from an earlier line, if there is one."""
    previous = row.cells.get(cell.column)
    if cell.starts_value or previous is None or previous.place != cell.place:
        return None
    return previous


def _group(cells: list[tuple[TokenCell, float]]) -> list[_TokenRow]:
    """Group cells in reading order, each with the probability that a row starts there, into rows."""
    rows: list[_TokenRow] = []
    for cell, start in cells:
        previous = _continued(rows[-1], cell) if rows and start < START_PROBABILITY else None
        if previous is not None:
            previous.spans += cell.spans
            previous.probability = min(previous.probability, cell.probability)
            continue
        if not rows or cell.column in rows[-1].cells or start >= START_PROBABILITY:
            rows.append(_TokenRow())
        rows[-1].cells[cell.column] = cell
    return rows


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities along the last axis."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def read_rows(
    pages: Sequence[PageText],
    scores: Sequence[NDArray[np.float32]],
    columns: FieldDefinitions,
    read: CellReader,
) -> list[list[Field]]:
    """Return the rows over all pages, in reading order."""
    found: list[tuple[TokenCell, float]] = []
    for place, (page, part) in enumerate(zip(pages, scores, strict=True)):
        if not len(part):
            continue
        starts = 1 / (1 + np.exp(-np.clip(part[:, 0], -30, 30)))
        probabilities = softmax(part[:, 1:])
        cells: list[TokenCell] = []
        for index, (column, definition) in enumerate(columns.items()):
            first, inside = probabilities[:, 1 + 2 * index], probabilities[:, 2 + 2 * index]
            if field_type(definition) == "string":
                cells += _string_cells(page, place, first, inside, column)
            else:
                cells += _typed_cells(page, place, first + inside, column, definition)
        cells.sort(key=lambda cell: cell.spans[0])
        found += [(cell, float(starts[cell.spans[0][0]])) for cell in cells]
    rows = [_row_fields(pages, row, columns, read) for row in _group(found)]
    return [fields for fields in rows if fields]


def _row_fields(
    pages: Sequence[PageText],
    row: _TokenRow,
    columns: FieldDefinitions,
    read: CellReader,
) -> list[Field]:
    fields = [
        _cell_field(pages, row.cells[column], definition, read)
        for column, definition in columns.items()
        if column in row.cells
    ]
    return [value for value in fields if value is not None]


def _cell_field(
    pages: Sequence[PageText], cell: TokenCell, definition: FieldDefinition, read: CellReader
) -> Field | None:
    layout = pages[cell.place].layout
    raw = " ".join(layout.text(start, end) for start, end in cell.spans)
    reading = read(cell.column, raw, definition)
    if reading is None:
        return None
    boxes = [layout.box(start, end) for start, end in cell.spans]
    location = (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
    confidence = min(max(cell.probability, 0.0), 1.0) * reading.certainty
    return Field(cell.column, reading.value, confidence, raw, layout.page, location)
