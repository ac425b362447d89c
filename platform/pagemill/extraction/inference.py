"""Inference: from the network's scores to fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from pagemill.extraction.choices import choice_field, read_choices
from pagemill.extraction.conventions import DocumentValues, Reading, ValueReader
from pagemill.extraction.decoding import field_type, fold
from pagemill.extraction.field_options import is_multivalue
from pagemill.extraction.layout import Layout
from pagemill.extraction.line_item_decoding import read_rows
from pagemill.extraction.losses import grouped_logsumexp
from pagemill.extraction.network import Tagger
from pagemill.extraction.sheets import Batch, Sheet, batches, collate, span_scores, span_table
from pagemill.extraction.tagger_configuration import Calibration, TaggerConfiguration
from pagemill.extraction.types import Extracted, Field, FieldDefinition, Lines

TOKENS_PER_BATCH = 12_000
LEAST_SHARE = 0.3
"""Probability of a further value of a field that has several, as a share of that of the best."""
CONTENDERS = 12
"""Spans per page and label that are read as values; the others share what probability is left."""
SMALLEST = 1e-6


def calibrated(confidence: float, calibration: Calibration) -> float:
    """Return the confidence after calibration, in 0..1."""
    clipped = min(max(confidence, SMALLEST), 1 - SMALLEST)
    odds = calibration.slope * math.log(clipped / (1 - clipped)) + calibration.shift
    return 1 / (1 + math.exp(-max(min(odds, 30.0), -30.0)))


class _Found(NamedTuple):
    """A value, and where it is printed."""

    reading: Reading
    raw: str
    start: int
    end: int


def _page_fields(
    label: str,
    layout: Layout,
    spans: Sequence[tuple[int, int, float]],
    definition: FieldDefinition,
    reader: ValueReader,
) -> list[tuple[Field, float]]:
    """Return the best value of the page's likeliest spans, or several; spans of the same value add up.

    A field's confidence is the certainty of its reading; the probability is that of its places.
    """
    values: dict[str, tuple[float, _Found]] = {}
    for start, end, probability in spans:
        raw = layout.text(start, end)
        reading = reader.read(label, raw, definition)
        if reading is None:
            continue
        key = fold(reading.value) if field_type(definition) == "string" else reading.value
        before = values.get(key)
        if before is None:
            values[key] = (probability, _Found(reading, raw, start, end))
        else:
            values[key] = (before[0] + probability, before[1])
    ranked = sorted(
        ((found, min(probability, 1.0)) for probability, found in values.values()),
        key=lambda pair: -pair[1] * pair[0].reading.certainty,
    )
    chosen = _together(ranked) if is_multivalue(definition) else ranked[:1]
    return [(_field(label, layout, found), probability) for found, probability in chosen]


def _together(ranked: Sequence[tuple[_Found, float]]) -> list[tuple[_Found, float]]:
    """Return the values that share the probability of a field with several values.

    Each has that of all, as long as it is not much less likely than the best.
    """
    least = LEAST_SHARE * ranked[0][1] if ranked else 0.0
    chosen = [(found, probability) for found, probability in ranked if probability >= least]
    return [(found, min(probability * len(chosen), 1.0)) for found, probability in chosen]


def _field(label: str, layout: Layout, found: _Found) -> Field:
    value, certainty = found.reading
    box = layout.box(found.start, found.end)
    return Field(label, value, certainty, found.raw[:1024], layout.page, box)


class SheetReader:
    """A network with its configuration that reads fields off sheets."""

    def __init__(self, network: Tagger, configuration: TaggerConfiguration, device: torch.device) -> None:
        self.network, self.configuration, self.device = network, configuration, device
        self._votes = configuration.votes_of_fields()

    def read(self, sheets: Sequence[Sheet]) -> list[list[Extracted]]:
        """Return the fields of each sheet."""
        results: list[list[Extracted]] = []
        for part in batches(sheets, range(len(sheets)), TOKENS_PER_BATCH):
            results += self._read_batch([sheets[position] for position in part])
        return results

    @torch.inference_mode()
    def _read_batch(self, sheets: Sequence[Sheet]) -> list[list[Extracted]]:
        if not any(sheet.size for sheet in sheets):
            return [self._nothing() for _ in sheets]
        batch = collate(sheets)
        self.network.eval()
        emissions, length_bias = self.network(batch.table.to(self.device))
        readers = [ValueReader(DocumentValues(sheet.pages), self._votes) for sheet in sheets]
        results: list[list[Extracted]] = [[] for _ in sheets]
        for index, label in enumerate(self.configuration.fields):
            if label in self.configuration.classified:
                for result, field in zip(results, self._choices(batch, emissions, label), strict=True):
                    result.append(field)
                continue
            for result, fields in zip(
                results, self._scalars(batch, emissions, length_bias, index, label, readers), strict=True
            ):
                result += fields
        table = emissions.cpu().numpy()
        for label in self.configuration.lines:
            for result, lines in zip(results, self._lines(batch, table, label, readers), strict=True):
                result.append(lines)
        return results

    def _nothing(self) -> list[Extracted]:
        nothing = self.configuration.nothing
        scalars: list[Extracted] = [
            Field(label, None, nothing.get(label, 1.0)) for label in self.configuration.fields
        ]
        return scalars + [Lines(label, []) for label in self.configuration.lines]

    def _choices(self, batch: Batch, emissions: torch.Tensor, label: str) -> list[Field]:
        """Return the field of each sheet that is found by classifying the sheet."""
        definition = self.configuration.fields[label]
        calibration = self.configuration.calibration.get(label, Calibration())
        fields = []
        for sheet, choice in zip(
            batch.sheets, read_choices(emissions, batch, label, self.configuration), strict=True
        ):
            if not sheet.size:
                fields.append(Field(label, None, self.configuration.nothing.get(label, 1.0)))
                continue
            found = choice_field(label, sheet, choice, definition)
            if found.value is not None:
                confidence = calibrated(choice.probability, calibration)
                found = msgspec.structs.replace(found, confidence=confidence)
            fields.append(found)
        return fields

    def _scalars(
        self,
        batch: Batch,
        emissions: torch.Tensor,
        length_bias: torch.Tensor,
        index: int,
        label: str,
        readers: Sequence[ValueReader],
    ) -> list[list[Field]]:
        spans = span_table(batch, label, self.configuration)
        scores = span_scores(emissions, length_bias, spans, index)
        totals = grouped_logsumexp(scores, spans.pages.to(scores.device), len(batch.offsets)).cpu().numpy()
        flat = scores.cpu().numpy()
        edges = np.searchsorted(spans.pages.numpy(), np.arange(len(batch.offsets) + 1))
        starts, ends = spans.starts.numpy(), spans.ends.numpy()
        definition = self.configuration.fields[label]
        calibration = self.configuration.calibration.get(label, Calibration())
        found: list[list[Field]] = [[] for _ in batch.sheets]
        doubt = [1.0] * len(batch.sheets)
        for page, (number, place, begin) in enumerate(batch.offsets):
            low, high = int(edges[page]), int(edges[page + 1])
            if low == high:
                continue
            top = low + np.argsort(-flat[low:high], kind="stable")[:CONTENDERS]
            contenders = [
                (int(starts[at]) - begin, int(ends[at]) - begin, math.exp(float(flat[at] - totals[page])))
                for at in top.tolist()
            ]
            ranked = _page_fields(
                label, batch.sheets[number].pages[place].layout, contenders, definition, readers[number]
            )
            several = is_multivalue(definition)
            for best, probability in ranked:
                confidence = calibrated(probability * best.confidence, calibration)
                doubt[number] = min(doubt[number], 1 - confidence)
                if probability >= math.exp(-float(totals[page])):
                    found[number].append(
                        msgspec.structs.replace(best, confidence=confidence, several=several)
                    )
        nothing = self.configuration.nothing.get(label, 1.0)
        return [
            fields or [Field(label, None, doubt[number] * nothing)] for number, fields in enumerate(found)
        ]

    def _lines(
        self, batch: Batch, table: NDArray[np.float32], label: str, readers: Sequence[ValueReader]
    ) -> list[Lines]:
        columns = self.configuration.lines[label]
        part = table[:, self.configuration.line_outputs(label)]
        scores: list[list[NDArray[np.float32]]] = [[] for _ in batch.sheets]
        for number, place, begin in batch.offsets:
            scores[number].append(part[begin : begin + len(batch.sheets[number].pages[place].layout)])
        result = []
        for sheet, own, reader in zip(batch.sheets, scores, readers, strict=True):
            rows = read_rows(sheet.pages, own, columns, reader.of_columns(label))
            result.append(Lines(label, rows, rows[0][0].page if rows else None))
        return result
