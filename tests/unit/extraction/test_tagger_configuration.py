"""A field configuration becomes outputs of the network, and an artefact's JSON comes back as it was."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pagemill.extraction.tagger_configuration import (
    Calibration,
    NetworkShape,
    TaggerConfiguration,
    number_of_outputs,
    split_fields,
)

CONFIG: dict[str, Any] = {
    "total": {"type": "amount"},
    "items": {
        "type": "lines",
        "fields": {"name": {"type": "string"}, "deeper": {"type": "lines", "fields": {}}, "odd": 7},
    },
    "date": {"type": "date"},
    "taxes": {"type": "lines", "fields": {"rate": {"type": "numeric"}, "sum": {"type": "amount"}}},
    "broken": None,
    "bare": {"type": "lines"},
}


def test_fields_and_columns() -> None:
    fields, lines = split_fields(CONFIG)
    assert list(fields) == ["total", "date"]
    assert {label: list(columns) for label, columns in lines.items()} == {
        "items": ["name"],
        "taxes": ["rate", "sum"],
    }


def test_outputs_of_labels_do_not_overlap() -> None:
    fields, lines = split_fields(CONFIG)
    count = number_of_outputs(fields, lines)
    configuration = TaggerConfiguration(NetworkShape(count, 2, 4), fields, lines, {}, {})
    assert configuration.line_outputs("items") == slice(6, 10)
    assert configuration.line_outputs("taxes") == slice(10, 16)
    assert count == 16
    with pytest.raises(KeyError):
        configuration.line_outputs("total")


def test_nothing_to_find_still_has_an_output() -> None:
    assert number_of_outputs({}, {}) == 1


def test_json_round_trip() -> None:
    fields, lines = split_fields(CONFIG)
    written = TaggerConfiguration(
        NetworkShape(16, 2, 4, hidden=8),
        fields,
        lines,
        {"date": "month", "items.when": "month"},
        {"total": 3},
        {"total": Calibration(1.5, -0.5)},
    )
    read = msgspec.json.decode(msgspec.json.encode(written), type=TaggerConfiguration)
    assert read == written
    assert read.order("date") == "month"
    assert read.order("items", "when") == "month"
    assert read.order("unknown") == "day"
