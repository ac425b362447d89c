"""Network of the tagger: hashed text and layout in, scores per token out.

Each token exchanges state with the tokens left, right, above and below, with its line and with its page,
several times. All tokens of a batch lie flat in one table: no padding, and the same code for one page and for
hundreds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pagemill.extraction.features import BUCKETS, MEASUREMENTS
from pagemill.extraction.tagger_configuration import NetworkShape


class TokenTable(NamedTuple):
    """The tokens of a batch. ``neighbours`` points one past each token, 0 meaning none."""

    pieces: Tensor
    distinct: Tensor
    measurements: Tensor
    neighbours: Tensor
    lines: Tensor
    pages: Tensor
    number_of_lines: int
    number_of_pages: int

    def to(self, device: torch.device) -> TokenTable:
        """Return the same table on another device."""
        return TokenTable(
            pieces=self.pieces.to(device),
            distinct=self.distinct.to(device),
            measurements=self.measurements.to(device),
            neighbours=self.neighbours.to(device),
            lines=self.lines.to(device),
            pages=self.pages.to(device),
            number_of_lines=self.number_of_lines,
            number_of_pages=self.number_of_pages,
        )


def _means(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the mean of each group."""
    sums = values.new_zeros(count, values.shape[1]).index_add(0, groups, values)
    sizes = values.new_zeros(count).index_add(0, groups, values.new_ones(len(groups)))
    return sums / sizes.clamp(min=1).unsqueeze(1)


def _places_around(table: TokenTable) -> Tensor:
    """Return where each token itself and its neighbours stand, one past each token."""
    own = torch.arange(1, len(table.neighbours) + 1, device=table.neighbours.device)
    return torch.cat([own.unsqueeze(1), table.neighbours], dim=1).reshape(-1)


class _Exchange(nn.Module):
    """One round of exchange between neighbours."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.mix = nn.Linear(hidden * 7, hidden * 2)
        self.out = nn.Linear(hidden * 2, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: Tensor, table: TokenTable, places: Tensor) -> Tensor:
        normed = self.norm(state)
        padded = torch.cat([normed.new_zeros(1, normed.shape[1]), normed])
        around = padded.index_select(0, places).reshape(len(normed), -1)
        line = _means(normed, table.lines, table.number_of_lines)
        page = _means(normed, table.pages, table.number_of_pages)
        # What all tokens of a line or a page have in common is multiplied once for all of them.
        hidden, weight = normed.shape[1], self.mix.weight
        of_lines, of_pages = 5 * hidden, 6 * hidden
        mixed = nn.functional.linear(around, weight[:, :of_lines], self.mix.bias)
        by_line = nn.functional.linear(line, weight[:, of_lines:of_pages])
        by_page = nn.functional.linear(page, weight[:, of_pages:])
        mixed = mixed + by_line.index_select(0, table.lines) + by_page.index_select(0, table.pages)
        changed: Tensor = state + self.dropout(self.out(nn.functional.gelu(mixed)))
        return changed


class Tagger(nn.Module):
    """Network that gives scores of every token for every output, and length biases of the labels' spans."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.EmbeddingBag(BUCKETS, shape.embedding, mode="sum", padding_idx=0)
        nn.init.normal_(self.words.weight, std=0.15)
        self.unknown = nn.Parameter(torch.zeros(shape.embedding))
        self.enter = nn.Linear(shape.embedding + MEASUREMENTS, shape.hidden)
        self.rounds = nn.ModuleList(_Exchange(shape.hidden, shape.dropout) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.hidden)
        self.leave = nn.Linear(shape.hidden, shape.outputs)
        self.length_bias = nn.Parameter(torch.zeros(max(shape.labels, 1), shape.maximum_span))

    def forward(self, table: TokenTable) -> tuple[Tensor, Tensor]:
        """Return scores (tokens x outputs) and length biases (labels x span lengths)."""
        embedded = self.words(table.pieces).index_select(0, table.distinct)
        if self.training and self.shape.word_dropout:
            hidden = torch.rand(len(embedded), 1, device=embedded.device) < self.shape.word_dropout
            embedded = torch.where(hidden, self.unknown, embedded)
        else:
            embedded = embedded + 0.0 * self.unknown
        state = self.enter(torch.cat([embedded, table.measurements], dim=1))
        places = _places_around(table)
        for exchange in self.rounds:
            state = exchange(state, table, places)
        return self.leave(self.norm(state)), self.length_bias * 1.0
