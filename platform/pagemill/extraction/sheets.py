"""Sheets: documents as arrays, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from pagemill.extraction.alignment import PageText
from pagemill.extraction.candidates import string_spans
from pagemill.extraction.features import measure, text_pieces
from pagemill.extraction.layout import layout_page
from pagemill.extraction.network import TokenTable
from pagemill.extraction.tagger_configuration import TaggerConfiguration
from pagemill.extraction.types import Page

SPAN_KEY = 64
"""Spans are keyed start * SPAN_KEY + length - 1; no span is longer."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of a document.

    ``positives`` has spans per label as (page, start, end), none where the value is null; labels that are
    absent teach nothing. ``rows`` has for each ``lines`` label the class of every token and whether a row
    starts there. ``choices`` has the choice of each enum label, None where the value is null.
    """

    positives: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    rows: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float32]]]] = field(default_factory=dict)
    choices: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document ready for the network."""

    pages: list[PageText]
    measurements: list[NDArray[np.float32]]
    targets: Targets

    @property
    def size(self) -> int:
        """Return the number of tokens."""
        return sum(len(page.layout) for page in self.pages)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sheets laid one after the other; ``offsets`` has the first token of each (sheet, page)."""

    sheets: list[Sheet]
    table: TokenTable
    offsets: list[tuple[int, int, int]]


def read_sheet(pages: Sequence[Page]) -> Sheet:
    """Return layout and measurements of a document's pages, without targets."""
    texts = [PageText(layout_page(page)) for page in pages]
    measured = [measure(text.layout, place, len(texts)) for place, text in enumerate(texts)]
    return Sheet(texts, measured, Targets())


def collate(sheets: Sequence[Sheet]) -> Batch:
    """Return one table of all tokens of the sheets."""
    offsets: list[tuple[int, int, int]] = []
    texts: list[str] = []
    neighbours, lines, pages, measured = [], [], [], []
    line_count = 0
    for number, sheet in enumerate(sheets):
        for place, (page, measurements) in enumerate(zip(sheet.pages, sheet.measurements, strict=True)):
            layout, begin = page.layout, len(texts)
            offsets.append((number, place, begin))
            texts += layout.texts
            neighbours.append(np.where(layout.neighbours >= 0, layout.neighbours + begin + 1, 0))
            lines.append(layout.lines + line_count)
            line_count += int(layout.lines.max()) + 1 if len(layout) else 0
            pages.append(np.full(len(layout), len(offsets) - 1))
            measured.append(measurements)
    distinct: dict[str, int] = {}
    identities = [distinct.setdefault(text, len(distinct)) for text in texts]
    table = TokenTable(
        pieces=torch.tensor([text_pieces(text) for text in distinct], dtype=torch.long),
        distinct=torch.tensor(identities, dtype=torch.long),
        measurements=torch.from_numpy(np.concatenate(measured)),
        neighbours=torch.from_numpy(np.concatenate(neighbours)),
        lines=torch.from_numpy(np.concatenate(lines)),
        pages=torch.from_numpy(np.concatenate(pages)),
        number_of_lines=line_count,
        number_of_pages=len(offsets),
    )
    return Batch(list(sheets), table, offsets)


def batches(sheets: Sequence[Sheet], order: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Yield positions of sheets, in order, cut into batches of about ``tokens`` tokens."""
    current: list[int] = []
    size = 0
    for position in order:
        if current and size + sheets[position].size > tokens:
            yield current
            current, size = [], 0
        current.append(position)
        size += sheets[position].size
    if current:
        yield current


@dataclass(frozen=True, slots=True)
class SpanTable:
    """Candidate spans of one label in a batch, with the sheet and the page that each is in."""

    starts: torch.Tensor
    ends: torch.Tensor
    sheets: torch.Tensor
    pages: torch.Tensor
    positive: torch.Tensor


def span_table(batch: Batch, label: str, configuration: TaggerConfiguration) -> SpanTable:
    """Return the candidates of ``label`` on all pages of the batch."""
    definition = configuration.fields[label]
    maximum = configuration.maximum_tokens[label]
    columns: list[list[NDArray[np.int64]]] = [[], [], [], []]
    marks: list[NDArray[np.bool_]] = []
    for index, (number, place, begin) in enumerate(batch.offsets):
        page = batch.sheets[number].pages[place]
        spans = page.spans(definition)
        spans = string_spans(page.layout, maximum) if spans is None else spans
        keys = spans.starts * SPAN_KEY + np.minimum(spans.ends - spans.starts, SPAN_KEY - 1)
        wanted = [
            start * SPAN_KEY + end - start
            for at, start, end in batch.sheets[number].targets.positives.get(label, [])
            if at == place
        ]
        marks.append(np.isin(keys, wanted) if wanted else np.zeros(len(keys), dtype=np.bool_))
        for column, values in zip(
            columns,
            (
                spans.starts + begin,
                spans.ends + begin,
                np.full(len(spans), number),
                np.full(len(spans), index),
            ),
            strict=True,
        ):
            column.append(values)
    starts, ends, sheets, pages = (torch.from_numpy(np.concatenate(column)) for column in columns)
    return SpanTable(starts, ends, sheets, pages, torch.from_numpy(np.concatenate(marks)))


def span_scores(
    emissions: torch.Tensor, length_bias: torch.Tensor, spans: SpanTable, label: int
) -> torch.Tensor:
    """Return the score of each span: its start, its end, its inner tokens and its length."""
    device = emissions.device
    starts, ends = spans.starts.to(device), spans.ends.to(device)
    begin, finish, inside = emissions[:, 3 * label], emissions[:, 3 * label + 1], emissions[:, 3 * label + 2]
    running = torch.cat([inside.new_zeros(1), inside.cumsum(0)])
    lengths = (ends - starts).clamp(max=length_bias.shape[1] - 1)
    total = running.index_select(0, ends + 1) - running.index_select(0, starts)
    return begin.index_select(0, starts) + finish.index_select(0, ends) + total + length_bias[label][lengths]
