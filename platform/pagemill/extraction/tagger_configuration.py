"""TaggerConfiguration of an artefact: the JSON beside the weights, needed to rebuild and use the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pagemill.extraction.decoding import field_type
from pagemill.extraction.field_options import Convention
from pagemill.extraction.printed_dates import DateOrder
from pagemill.extraction.types import FieldDefinitions, LineItemDefinitions

FORMAT = 1
OUTPUTS_PER_LABEL = 3
MAXIMUM_SPAN = 48
EARLIER_VOTES = 20


class NetworkShape(msgspec.Struct, frozen=True):
    """The sizes of a network."""

    outputs: int
    labels: int
    maximum_span: int
    hidden: int = 96
    embedding: int = 48
    layers: int = 4
    dropout: float = 0.2
    word_dropout: float = 0.1


class Calibration(msgspec.Struct, frozen=True):
    """A confidence's log odds times ``slope`` plus ``shift``."""

    slope: float = 1.0
    shift: float = 0.0


class TaggerConfiguration(msgspec.Struct, frozen=True):
    """An artefact's JSON. ``fields`` holds the scalar fields, ``lines`` the columns of each lines field."""

    shape: NetworkShape
    fields: dict[str, dict[str, Any]]
    lines: dict[str, dict[str, dict[str, Any]]]
    date_orders: dict[str, DateOrder]
    maximum_tokens: dict[str, int]
    calibration: dict[str, Calibration] = {}
    votes: dict[str, dict[Convention, int]] = {}
    """How the values of each field, or of each column as "lines.column", were printed."""
    nothing: dict[str, float] = {}
    """How likely it is that a field has no value when none is found."""
    classified: dict[str, list[str]] = {}
    """The choices of each enum field that is found by classifying the document."""
    format: int = FORMAT

    @property
    def labels(self) -> list[str]:
        """The scalar fields, then the lines fields."""
        return [*self.fields, *self.lines]

    def order(self, label: str, column: str | None = None) -> DateOrder:
        """Return the order of day and month learned for a field or a column."""
        return self.date_orders.get(label if column is None else f"{label}.{column}", "day")

    def votes_of_fields(self) -> dict[str, dict[Convention, int]]:
        """Return the votes of each field; an artefact of an earlier release has only their outcome."""
        decided: dict[str, dict[Convention, int]] = {
            name: {order: EARLIER_VOTES} for name, order in self.date_orders.items()
        }
        return decided | self.votes

    def line_outputs(self, label: str) -> slice:
        """Return the outputs of a lines field: row start, outside, then (first, inside) of each column."""
        begin = OUTPUTS_PER_LABEL * len(self.fields)
        for name, columns in self.lines.items():
            width = 2 + 2 * len(columns)
            if name == label:
                return slice(begin, begin + width)
            begin += width
        raise KeyError(label)

    def choice_outputs(self, label: str) -> slice:
        """Return the outputs of a classified field: the token's say, nothing, then each choice."""
        begin = number_of_outputs(self.fields, self.lines)
        for name, choices in self.classified.items():
            width = 2 + len(choices)
            if name == label:
                return slice(begin, begin + width)
            begin += width
        raise KeyError(label)


def number_of_outputs(
    fields: FieldDefinitions,
    lines: LineItemDefinitions,
    classified: Mapping[str, Sequence[str]] | None = None,
) -> int:
    """Return the number of scores that each token gets."""
    of_choices = sum(2 + len(choices) for choices in (classified or {}).values())
    of_rows = sum(2 + 2 * len(columns) for columns in lines.values())
    return (OUTPUTS_PER_LABEL * len(fields) + of_rows or 1) + of_choices


def split_fields(
    field_config: Mapping[str, object],
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, dict[str, Any]]]]:
    """Return the scalar fields, and the columns of each lines field; skip what is not a definition."""
    fields: dict[str, dict[str, Any]] = {}
    lines: dict[str, dict[str, dict[str, Any]]] = {}
    for label, definition in field_config.items():
        if not isinstance(definition, dict):
            continue
        if field_type(definition) != "lines":
            fields[label] = definition
            continue
        columns = definition.get("fields")
        if isinstance(columns, dict):
            scalar = {name: column for name, column in columns.items() if isinstance(column, dict)}
            lines[label] = {name: column for name, column in scalar.items() if field_type(column) != "lines"}
    return fields, lines
