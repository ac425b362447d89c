"""Preparation of labelled documents for training: alignment, features, and the split.

Each rank prepares its own documents. Orders of dates, longest spans, counts and the split are those of all.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from pagemill.extraction.alignment import PageText, learn_date_order, locate, page_hint
from pagemill.extraction.decoding import as_text, field_type
from pagemill.extraction.line_item_alignment import LabelledCell, locate_rows, row_targets, truth_rows
from pagemill.extraction.printed_dates import DateOrder
from pagemill.extraction.ranks import Ranks, SingleRank
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

Key = TypeVar("Key")


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
    """Documents of a rank with targets, and their held-out part with its ground truth.

    ``number_held_out``, ``examples`` and ``unlocated`` count the documents of all ranks.
    """

    configuration: TaggerConfiguration
    training: list[Sheet]
    held_out: list[Sheet]
    held_out_truth: list[Truth]
    number_held_out: int
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


def _date_votes(
    sheets: Sequence[Sheet], truths: Sequence[Truth], fields: FieldDefinitions, lines: LineItemDefinitions
) -> dict[str, Counter[DateOrder]]:
    """Return the votes for each order of day and month of each date field."""
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
    return votes


def _date_orders(votes: Sequence[Mapping[str, Counter[DateOrder]]]) -> dict[str, DateOrder]:
    """Return the order of each date field from the votes of all ranks: its own, or those of all fields."""
    of_field = {name: _total([own[name] for own in votes]) for name in votes[0]}
    together = _total(of_field.values())
    return {name: _majority(own if own else together) for name, own in of_field.items()}


def _total(counts: Iterable[Mapping[Key, int]]) -> Counter[Key]:
    """Return the sums; what was counted zero times stays."""
    total: Counter[Key] = Counter()
    for each in counts:
        total.update(each)
    return total


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


def prepare(
    examples: Iterable[Example],
    field_config: FieldConfig,
    options: TrainingOptions,
    ranks: Ranks | None = None,
) -> Prepared:
    """Align, compute features and split. Unusable ground truth is skipped, never an error.

    With several ranks, ``examples`` are those of this one.
    """
    ranks = ranks or SingleRank()
    fields, lines = split_fields(field_config)
    documents: list[str] = []
    sheets: list[Sheet] = []
    truths: list[Truth] = []
    for example in examples:
        documents.append(example.document_id)
        sheets.append(read_sheet(example.pages))
        truths.append(read_truth(example.ground_truth, fields, lines))
    orders = _date_orders(ranks.gather(_date_votes(sheets, truths, fields, lines)))
    aligner = _Aligner(fields, lines, orders)
    ready = [
        Sheet(sheet.pages, sheet.measurements, aligner.targets(sheet.pages, truth))
        for sheet, truth in zip(sheets, truths, strict=True)
    ]
    held = _held_out_here(documents, options.seed, ranks)
    counts = ranks.gather((aligner.examples, aligner.unlocated, aligner.longest, len(held)))
    shape = NetworkShape(
        outputs=number_of_outputs(fields, lines),
        labels=len(fields),
        maximum_span=MAXIMUM_SPAN,
        hidden=options.hidden,
        layers=options.layers,
    )
    longest = {label: max(own[label] for _, _, own, _ in counts) for label in fields}
    maximum_tokens = {label: min(tokens + SPARE_TOKENS, MAXIMUM_SPAN) for label, tokens in longest.items()}
    return Prepared(
        configuration=TaggerConfiguration(shape, fields, lines, orders, maximum_tokens),
        training=[sheet for index, sheet in enumerate(ready) if index not in held],
        held_out=[ready[index] for index in sorted(held)],
        held_out_truth=[truths[index] for index in sorted(held)],
        number_held_out=sum(held_out for _, _, _, held_out in counts),
        examples=dict(_total(own for own, _, _, _ in counts)),
        unlocated=dict(_total(own for _, own, _, _ in counts)),
    )


def _held_out_here(documents: Sequence[str], seed: int, ranks: Ranks) -> set[int]:
    """Return which of this rank's documents are held out, of those of all ranks."""
    shards = ranks.gather(list(documents))
    held = _hold_out([document for shard in shards for document in shard], seed)
    begin = sum(len(shard) for shard in shards[: ranks.rank])
    return {index for index in range(len(documents)) if begin + index in held}
