"""Preparation of labelled documents for training: alignment, features, and the split.

Each rank prepares its own documents. Orders of dates, longest spans, counts and the split are those of all.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import msgspec

from pagemill.extraction.alignment import PageText, locate, page_hint
from pagemill.extraction.conventions import DocumentValues, Votes, total_votes, vote
from pagemill.extraction.decoding import as_text, enum_choices, field_type, fold
from pagemill.extraction.field_options import Convention, is_multivalue, is_strict
from pagemill.extraction.issuers import assign_folds, group_by_issuer, sign
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
from pagemill.extraction.types import (
    Example,
    FieldConfig,
    FieldDefinition,
    FieldDefinitions,
    LineItemDefinitions,
)

HELD_OUT_SHARE = 0.15
MINIMUM_FOR_HELD_OUT = 5
MINIMUM_LOCATED_ROWS = 0.5
"""A document of whose rows fewer are found teaches that rows are not rows; it is left out."""
SPARE_TOKENS = 2
MISSED_SHARE = 0.03
"""Share of the values on a page that a trained tagger does not find."""
MOST_UNPRINTED = 0.1
"""Share of an enum's values that may be printed nowhere; with more of them the documents are classified."""
UNLABELLED = 0.5
"""A document without a label has no value, or nobody looked for it: it counts as half of one with null."""

Key = TypeVar("Key")


class TrainingOptions(msgspec.Struct, frozen=True):
    """Options of a training.

    ``time_budget_seconds`` bounds all epochs together, by the clock that the trainer is given. ``folds`` is 0
    where a part is held out once, for all epochs.
    """

    seed: int = 0
    folds: int = 0
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
    held_out_ids: list[str]
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


def _votes(
    sheets: Sequence[Sheet], truths: Sequence[Truth], fields: FieldDefinitions, lines: LineItemDefinitions
) -> dict[str, Counter[Convention]]:
    """Return how the values of each field and each column are printed."""
    votes: dict[str, Counter[Convention]] = {label: Counter() for label in fields}
    votes |= {f"{label}.{column}": Counter() for label, columns in lines.items() for column in columns}
    for sheet, truth in zip(sheets, truths, strict=True):
        document = DocumentValues(sheet.pages)
        for label, values in truth.scalars.items():
            for value in values:
                votes[label].update(vote(value, document, fields[label]))
        for label, rows in truth.rows.items():
            for column, text, _ in chain.from_iterable(rows):
                votes[f"{label}.{column}"].update(vote(text, document, lines[label][column]))
    return votes


def _date_orders(votes: Mapping[str, Votes]) -> dict[str, DateOrder]:
    return {name: "month" if own["month"] > own["day"] else "day" for name, own in votes.items()}


def certainty_of_nothing(nulls: float, examples: int, unlocated: int) -> float:
    """Return how likely it is that a value is not there when none is found.

    Among the documents of the ground truth, as a document without the value, or with one that was missed.
    """
    missed = unlocated + MISSED_SHARE * (examples - unlocated)
    return (nulls + 0.5) / (nulls + missed + 1.0)


def _total(counts: Iterable[Mapping[Key, int]]) -> Counter[Key]:
    """Return the sums; what was counted zero times stays."""
    total: Counter[Key] = Counter()
    for each in counts:
        total.update(each)
    return total


class _Aligner:
    """Conversion of ground truth into targets, with counts of values that were not found."""

    def __init__(
        self, fields: FieldDefinitions, lines: LineItemDefinitions, orders: Mapping[str, DateOrder]
    ) -> None:
        self.fields, self.lines, self.orders = fields, lines, orders
        self.examples: Counter[str] = Counter()
        self.unlocated: Counter[str] = Counter()
        self.longest: Counter[str] = Counter()
        self.nulls: defaultdict[str, float] = defaultdict(float)
        self.chosen: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def targets(self, pages: list[PageText], truth: Truth) -> Targets:
        targets = Targets()
        for label, definition in self.fields.items():
            if label not in truth.scalars:
                self.nulls[label] += UNLABELLED
                continue
            self.nulls[label] += not truth.scalars[label]
            self._choice(label, definition, truth.scalars[label], targets)
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

    def _choice(self, label: str, definition: FieldDefinition, values: list[str], targets: Targets) -> None:
        """Note which of its choices an enum field has; a value that is no choice teaches nothing."""
        if field_type(definition) != "enum" or is_multivalue(definition) or is_strict(definition):
            return
        choices = {fold(choice): choice for choice in enum_choices(definition)}
        if not values:
            targets.choices[label] = None
        elif fold(values[0]) in choices:
            choice = choices[fold(values[0])]
            targets.choices[label] = choice
            self.chosen[label][choice] += 1

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


@dataclass(frozen=True, slots=True)
class _Aligned:
    """All documents of a rank with targets and ground truth."""

    configuration: TaggerConfiguration
    documents: list[str]
    sheets: list[Sheet]
    truths: list[Truth]
    examples: dict[str, int]
    unlocated: dict[str, int]

    def without(self, held: set[int], ranks: Ranks) -> Prepared:
        """Hold out some of this rank's documents."""
        return Prepared(
            configuration=self.configuration,
            training=[sheet for index, sheet in enumerate(self.sheets) if index not in held],
            held_out=[self.sheets[index] for index in sorted(held)],
            held_out_truth=[self.truths[index] for index in sorted(held)],
            held_out_ids=[self.documents[index] for index in sorted(held)],
            number_held_out=sum(ranks.gather(len(held))),
            examples=self.examples,
            unlocated=self.unlocated,
        )


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
    aligned = _align(examples, field_config, options, ranks)
    return aligned.without(_held_out_here(aligned.documents, options.seed, ranks), ranks)


def prepare_folds(
    examples: Iterable[Example],
    field_config: FieldConfig,
    options: TrainingOptions,
    ranks: Ranks | None = None,
) -> list[Prepared]:
    """Return the folds, each with its part held out, and last the whole, as ``prepare`` does.

    No two folds hold out documents of one issuer. Too few documents have no folds.
    """
    ranks = ranks or SingleRank()
    aligned = _align(examples, field_config, options, ranks)
    folds = _folds_here(aligned, options, ranks)
    return [
        *(
            aligned.without({place for place, fold in enumerate(folds) if fold == number}, ranks)
            for number in range(options.folds if any(ranks.gather(bool(folds))) else 0)
        ),
        aligned.without(set(), ranks),
    ]


def _folds_here(aligned: _Aligned, options: TrainingOptions, ranks: Ranks) -> list[int]:
    """Return the fold of each of this rank's documents, of those of all ranks; none of too few."""
    fields = aligned.configuration.fields
    own = [
        sign(sheet, truth.scalars, fields)
        for sheet, truth in zip(aligned.sheets, aligned.truths, strict=True)
    ]
    shards = ranks.gather((aligned.documents, own))
    documents = [document for shard, _ in shards for document in shard]
    if len(documents) < max(MINIMUM_FOR_HELD_OUT, options.folds):
        return []
    groups = group_by_issuer([signature for _, shard in shards for signature in shard])
    folds = assign_folds(documents, groups, options.folds, options.seed)
    begin = sum(len(shard) for shard, _ in shards[: ranks.rank])
    return folds[begin : begin + len(own)]


def _align(
    examples: Iterable[Example], field_config: FieldConfig, options: TrainingOptions, ranks: Ranks
) -> _Aligned:
    """Find the labelled values on the pages, and compute features."""
    fields, lines = split_fields(field_config)
    documents: list[str] = []
    sheets: list[Sheet] = []
    truths: list[Truth] = []
    for example in examples:
        documents.append(example.document_id)
        sheets.append(read_sheet(example.pages))
        truths.append(read_truth(example.ground_truth, fields, lines))
    votes = total_votes(ranks.gather(_votes(sheets, truths, fields, lines)))
    orders = _date_orders(votes)
    aligner = _Aligner(fields, lines, orders)
    ready = [
        Sheet(sheet.pages, sheet.measurements, aligner.targets(sheet.pages, truth))
        for sheet, truth in zip(sheets, truths, strict=True)
    ]
    counts = ranks.gather(
        (
            aligner.examples,
            aligner.unlocated,
            aligner.longest,
            dict(aligner.nulls),
            dict(aligner.chosen),
        )
    )
    examples_of, unlocated_of = _total(own[0] for own in counts), _total(own[1] for own in counts)
    nothing = {
        label: certainty_of_nothing(
            sum(own[3].get(label, 0.0) for own in counts), examples_of[label], unlocated_of[label]
        )
        for label in fields
    }
    classified = {
        label: sorted(chosen)
        for label in fields
        if (chosen := _total(own[4].get(label, {}) for own in counts))
        and unlocated_of[label] > MOST_UNPRINTED * examples_of[label]
    }
    shape = NetworkShape(
        outputs=number_of_outputs(fields, lines, classified),
        labels=len(fields),
        maximum_span=MAXIMUM_SPAN,
        hidden=options.hidden,
        layers=options.layers,
    )
    longest = {label: max(own[2][label] for own in counts) for label in fields}
    maximum_tokens = {label: min(tokens + SPARE_TOKENS, MAXIMUM_SPAN) for label, tokens in longest.items()}
    return _Aligned(
        configuration=TaggerConfiguration(
            shape, fields, lines, orders, maximum_tokens, votes=votes, nothing=nothing, classified=classified
        ),
        documents=documents,
        sheets=ready,
        truths=truths,
        examples=dict(examples_of),
        unlocated=dict(unlocated_of),
    )


def _held_out_here(documents: Sequence[str], seed: int, ranks: Ranks) -> set[int]:
    """Return which of this rank's documents are held out, of those of all ranks."""
    shards = ranks.gather(list(documents))
    held = _hold_out([document for shard in shards for document in shard], seed)
    begin = sum(len(shard) for shard in shards[: ranks.rank])
    return {index for index in range(len(documents)) if begin + index in held}
