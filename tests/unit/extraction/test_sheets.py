"""Documents as arrays: nothing of one document leaks into another, whatever they are batched with."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pagemill.extraction.sheets import (
    Sheet,
    Targets,
    batches,
    collate,
    read_sheet,
    span_scores,
    span_table,
)
from pagemill.extraction.tagger_configuration import NetworkShape, TaggerConfiguration
from tests.unit.extraction.printed import page_of

FIELDS: dict[str, dict[str, Any]] = {"name": {"type": "string"}, "total": {"type": "amount"}}
CONFIGURATION = TaggerConfiguration(NetworkShape(6, 2, 8), FIELDS, {}, {}, {"name": 2, "total": 1})


def sheet(*printed: list[str], positives: dict[str, list[tuple[int, int, int]]] | None = None) -> Sheet:
    read = read_sheet([page_of(*lines, index=index) for index, lines in enumerate(printed)])
    return Sheet(read.pages, read.measurements, Targets(positives=positives or {}))


def test_pages_lie_one_after_the_other() -> None:
    batch = collate([sheet(["a b", "a"], []), sheet(["b c"])])
    assert batch.offsets == [(0, 0, 0), (0, 1, 3), (1, 0, 3)]
    assert batch.table.distinct.tolist() == [0, 1, 0, 1, 2]
    assert batch.table.pages.tolist() == [0, 0, 0, 2, 2]
    assert batch.table.lines.tolist() == [0, 0, 1, 2, 2]
    assert (batch.table.number_of_lines, batch.table.number_of_pages) == (3, 3)
    assert len(batch.table.pieces) == 3


def test_neighbours_point_one_past_their_token_inside_their_page() -> None:
    batch = collate([sheet(["a b"]), sheet(["c d"])])
    assert batch.table.neighbours[:, :2].tolist() == [[0, 2], [1, 0], [0, 4], [3, 0]]


def test_batches_keep_the_order_and_about_the_size() -> None:
    sheets = [sheet(["a b c"]), sheet(["a"]), sheet(["a b c d e f"]), sheet(["a"]), sheet([])]
    parts = list(batches(sheets, [4, 2, 0, 1, 3], 4))
    assert parts == [[4], [2], [0, 1], [3]]
    assert list(batches(sheets, [], 4)) == []


def test_candidates_know_their_sheet_their_page_and_whether_they_are_right() -> None:
    first = sheet(["due 9.00"], ["sum 8.00 7.00"], positives={"total": [(1, 1, 1)], "name": [(0, 0, 1)]})
    batch = collate([first, sheet(["7.00"])])
    total = span_table(batch, "total", CONFIGURATION)
    assert total.starts.tolist() == total.ends.tolist() == [1, 3, 4, 5]
    assert total.sheets.tolist() == [0, 0, 0, 1]
    assert total.pages.tolist() == [0, 1, 1, 2]
    assert total.positive.tolist() == [False, True, False, False]
    name = span_table(batch, "name", CONFIGURATION)
    assert [
        (int(start), int(end))
        for start, end, right in zip(name.starts, name.ends, name.positive, strict=True)
        if right
    ] == [(0, 1)]


def test_a_span_is_scored_by_its_start_its_end_its_inside_and_its_length() -> None:
    batch = collate([sheet(["a b c"])])
    spans = span_table(batch, "name", CONFIGURATION)
    emissions = torch.arange(18, dtype=torch.float32).reshape(3, 6)
    length_bias = torch.tensor([[0.5, 0.25], [0.0, 0.0]])
    scores = span_scores(emissions, length_bias, spans, 0)
    at = [(int(s), int(e)) for s, e in zip(spans.starts, spans.ends, strict=True)].index((1, 2))
    begin, finish, inside = emissions[1, 0], emissions[2, 1], emissions[1, 2] + emissions[2, 2]
    assert float(scores[at]) == pytest.approx(float(begin + finish + inside) + 0.25)


def test_a_document_without_pages_has_no_size() -> None:
    assert read_sheet([]).size == 0
    assert sheet([], []).size == 0
    assert math.prod(collate([sheet([], []), sheet(["a"])]).table.measurements.shape) > 0
