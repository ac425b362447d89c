"""Preparation of labelled documents for training: alignment, features, and the split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pagemill.extraction.alignment import PageText, learn_date_order, locate, page_hint
from pagemill.extraction.decoding import DateOrder, as_text, field_type
from pagemill.extraction.line_item_alignment import LabelledCell, locate_rows, row_targets, truth_rows
from pagemill.extraction.sheets import Sheet, Targets, read_sheet
from pagemill.extraction.tagger_configuration import (
    MAXIMUM_SPAN,
    NetworkShape,
    TaggerConfiguration,
    number_of_outputs,
    split_fields,
)
from pagemill.extraction.types import Example, FieldConfig, FieldDefinitions, LineItemDefinitions

HELD_OUT_SHARE = 0.15
MINIMUM_FOR_HELD_OUT = 5
MINIMUM_LOCATED_ROWS = 0.5
"""A document of whose rows fewer are found teaches that rows are not rows; it is left out."""
SPARE_TOKENS = 2


class TrainingOptions(msgspec.Struct, frozen=True):
    """Options of a training.

    ``time_budget_seconds`` bounds all epochs together, by the clock that the trainer is given.
    """

    seed: int = 0
    time_budget_seconds: float = 420.0
    maximum_epochs: int = 40
    minimum_steps: int = 600
    patience: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    tokens_per_batch: int = 5000
    averaging: float = 0.99
    hidden: int = 96
    layers: int = 4


@dataclass(frozen=True, slots=True)
class Truth:
    """A document's usable ground truth by label.

    ``scalars`` holds values (an empty list: null), ``rows`` the rows of lines fields, ``hints`` page numbers.
    """

    scalars: dict[str, list[str]]
    rows: dict[str, list[list[LabelledCell]]]
    hints: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Documents with targets, and the held-out part with its ground truth."""

    configuration: TaggerConfiguration
    training: list[Sheet]
    held_out: list[Sheet]
    held_out_truth: list[Truth]
    examples: dict[str, int]
    unlocated: dict[str, int]


def read_truth(
    ground_truth: Sequence[Any], configured: FieldDefinitions, lines: LineItemDefinitions
) -> Truth:
    """Return the items with a configured label; skip values of the wrong kind."""
    truth = Truth({}, {}, {})
    for item in ground_truth if isinstance(ground_truth, list | tuple) else ():
        if not isinstance(item, dict) or not isinstance(label := item.get("label"), str):
            continue
        value = item.get("value")
        if label in lines:
            rows = truth_rows(value, lines[label])
            if rows is not None:
                truth.rows.setdefault(label, []).extend(rows)
        elif label in configured and not isinstance(value, list | dict):
            values = truth.scalars.setdefault(label, [])
            text = as_text(value)
            if text is not None:
                values.append(text)
                truth.hints.setdefault(label, []).extend(page_hint(item))
    return truth


def _date_orders(
    sheets: Sequence[Sheet], truths: Sequence[Truth], fields: FieldDefinitions, lines: LineItemDefinitions
) -> dict[str, DateOrder]:
    """Return the order of day and month of each date field: by its own votes, or by all when it has none."""
    votes: dict[str, Counter[DateOrder]] = {}
    for label, definition in fields.items():
        if field_type(definition) == "date":
            values = (
                (v, s.pages) for s, t in zip(sheets, truths, strict=True) for v in t.scalars.get(label, [])
            )
            votes[label] = learn_date_order(values, definition)
    for label, columns in lines.items():
        for column, definition in columns.items():
            if field_type(definition) == "date":
                cells = (
                    (text, sheet.pages)
                    for sheet, truth in zip(sheets, truths, strict=True)
                    for row in truth.rows.get(label, [])
                    for name, text, _ in row
                    if name == column
                )
                votes[f"{label}.{column}"] = learn_date_order(cells, definition)
    together: Counter[DateOrder] = sum(votes.values(), Counter())
    return {name: _majority(own if own else together) for name, own in votes.items()}


def _majority(votes: Counter[DateOrder]) -> DateOrder:
    return "month" if votes["month"] > votes["day"] else "day"


class _Aligner:
    """Conversion of ground truth into targets, with counts of values that were not found."""

    def __init__(
        self, fields: FieldDefinitions, lines: LineItemDefinitions, orders: Mapping[str, DateOrder]
    ) -> None:
        self.fields, self.lines, self.orders = fields, lines, orders
        self.examples: Counter[str] = Counter()
        self.unlocated: Counter[str] = Counter()
        self.longest: Counter[str] = Counter()

    def targets(self, pages: list[PageText], truth: Truth) -> Targets:
        targets = Targets()
        for label, definition in self.fields.items():
            if label not in truth.scalars:
                continue
            positives: list[tuple[int, int, int]] = []
            for value in truth.scalars[label]:
                order = self.orders.get(label, "day")
                found = locate(pages, value, definition, order, truth.hints.get(label, ()))
                positives += [
                    (at.page, at.start, at.end)
                    for at in found
                    if at.end - at.start < MAXIMUM_SPAN - SPARE_TOKENS
                ]
                self.examples[label] += 1
                self.unlocated[label] += not found
            if positives or not truth.scalars[label]:
                targets.positives[label] = positives
            for _, start, end in positives:
                self.longest[label] = max(self.longest[label], end - start + 1)
        for label, columns in self.lines.items():
            if label in truth.rows:
                self._rows(label, columns, pages, truth.rows[label], targets)
        return targets

    def _rows(
        self,
        label: str,
        columns: FieldDefinitions,
        pages: list[PageText],
        rows: list[list[LabelledCell]],
        targets: Targets,
    ) -> None:
        orders = {column: self.orders.get(f"{label}.{column}", "day") for column in columns}
        located = locate_rows(pages, rows, columns, orders)
        self.examples[label] += len(rows)
        self.unlocated[label] += located.unlocated
        if located.unlocated <= MINIMUM_LOCATED_ROWS * len(rows):
            targets.rows[label] = row_targets(pages, located, list(columns))


def _hold_out(documents: Sequence[str], seed: int) -> set[int]:
    """Choose the held-out documents by a hash of their ids, so that the same ones are chosen each time."""
    if len(documents) < MINIMUM_FOR_HELD_OUT:
        return set()
    order = sorted(
        range(len(documents)),
        key=lambda index: hashlib.blake2b(f"{seed}\x1f{documents[index]}".encode()).digest(),
    )
    return set(order[: max(1, round(HELD_OUT_SHARE * len(documents)))])


def prepare(examples: Sequence[Example], field_config: FieldConfig, options: TrainingOptions) -> Prepared:
    """Align, compute features and split. Unusable ground truth is skipped, never an error."""
    fields, lines = split_fields(field_config)
    sheets = [read_sheet(example.pages) for example in examples]
    truths = [read_truth(example.ground_truth, fields, lines) for example in examples]
    orders = _date_orders(sheets, truths, fields, lines)
    aligner = _Aligner(fields, lines, orders)
    ready = [
        Sheet(sheet.pages, sheet.measurements, aligner.targets(sheet.pages, truth))
        for sheet, truth in zip(sheets, truths, strict=True)
    ]
    held = _hold_out([example.document_id for example in examples], options.seed)
    shape = NetworkShape(
        outputs=number_of_outputs(fields, lines),
        labels=len(fields),
        maximum_span=MAXIMUM_SPAN,
        hidden=options.hidden,
        layers=options.layers,
    )
    longest = {label: min(aligner.longest[label] + SPARE_TOKENS, MAXIMUM_SPAN) for label in fields}
    return Prepared(
        configuration=TaggerConfiguration(shape, fields, lines, orders, longest),
        training=[sheet for index, sheet in enumerate(ready) if index not in held],
        held_out=[ready[index] for index in sorted(held)],
        held_out_truth=[truths[index] for index in sorted(held)],
        examples=dict(aligner.examples),
        unlocated=dict(aligner.unlocated),
    )
