"""What fieldConfig accepts, and what it names when it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.api.resources.field_config import MAXIMUM_BYTES, checked_field_config
from pagemill.errors import BadRequest

DOCUMENTED = {
    "currency": {"type": "enum", "enum": ["NOK", "EUR", "US Dollar"], "description": "currency of the total"},
    "total": {"type": "amount"},
    "items": {"type": "lines", "fields": {"text": {"type": "string"}, "qty": {"type": "numeric"}}},
}


def test_documented_example_is_returned_as_sent() -> None:
    assert checked_field_config(DOCUMENTED) is DOCUMENTED


@pytest.mark.parametrize(
    "definition",
    [
        *({"type": kind} for kind in ("amount", "date", "digits", "numeric", "string")),
        {"type": "string", "maxLength": 1},
        {"type": "string", "maxLength": 1024},
        {"type": "string", "description": None, "format": None},
        {"type": "string", "description": "d" * 4096, "isMultivalue": True, "strict": False},
        {"type": "string", "required": True, "display": {"order": 1}},
        {"type": "enum", "enum": ['0aZ ÆØÅæøå!"#$%&()*+,-./:;<=>?@[]^_`{|}~']},
        {"type": "enum", "enum": [f"v{index}" for index in range(500)]},
        {"type": "enum", "enum": ["x" * 512]},
        {"type": "string", "enum": ["a"]},
        {"type": "lines", "fields": {}},
        {"type": "lines", "fields": {"a": {"type": "enum", "enum": ["x"]}}, "hint": "table"},
    ],
)
def test_definition_is_accepted(definition: dict[str, Any]) -> None:
    config = {"label": definition}
    assert checked_field_config(config) == {"label": definition}


@pytest.mark.parametrize(
    "definition",
    [
        *(
            {"type": kind}
            for kind in ("all", "alphanum", "alphanumext", "letter", "number", "phone", "", None)
        ),
        {},
        "string",
        None,
        ["string"],
        {"type": "string", "maxLength": 0},
        {"type": "string", "maxLength": 1025},
        {"type": "string", "maxLength": "9"},
        {"type": "string", "maxLength": None},
        {"type": "string", "description": "d" * 4097},
        {"type": "string", "isMultivalue": "yes"},
        {"type": "string", "strict": None},
        {"type": "enum"},
        {"type": "enum", "enum": []},
        {"type": "enum", "enum": "NOK"},
        {"type": "enum", "enum": ["a", "a"]},
        {"type": "enum", "enum": [""]},
        {"type": "enum", "enum": ["x" * 513]},
        {"type": "enum", "enum": ["it's"]},
        {"type": "enum", "enum": ["back\\slash"]},
        {"type": "enum", "enum": ["line\n"]},
        {"type": "enum", "enum": ["ü"]},
        {"type": "enum", "enum": [1]},
        {"type": "enum", "enum": [f"v{index}" for index in range(501)]},
        {"type": "lines"},
        {"type": "lines", "fields": None},
        {"type": "lines", "fields": {"bad label": {"type": "string"}}},
        {"type": "lines", "fields": {"a": {"type": "phone"}}},
        {"type": "lines", "fields": {"a": {"type": "lines", "fields": {}}}},
    ],
)
def test_definition_is_refused(definition: Any) -> None:
    with pytest.raises(BadRequest, match=r"fieldConfig\.label"):
        checked_field_config({"label": definition})


@pytest.mark.parametrize("label", ["", "a" * 37, "to tal", "tötal", "a.b", "a\n"])
def test_label_is_refused(label: str) -> None:
    with pytest.raises(BadRequest, match="a label has 1 to 36"):
        checked_field_config({label: {"type": "string"}})


@pytest.mark.parametrize("label", ["a", "A-9_z", "a" * 36])
def test_label_is_accepted(label: str) -> None:
    assert checked_field_config({label: {"type": "string"}})


def test_message_names_the_column_and_the_member() -> None:
    config = {"items": {"type": "lines", "fields": {"qty": {"type": "numeric", "maxLength": 5000}}}}
    with pytest.raises(BadRequest) as refused:
        checked_field_config(config)
    assert refused.value.message == "fieldConfig.items.fields.qty.maxLength: Expected `int` <= 1024"


def test_number_of_labels_is_bounded() -> None:
    with pytest.raises(BadRequest, match="at most 1000 labels"):
        checked_field_config({f"l{index}": {"type": "string"} for index in range(1001)})


def test_size_is_bounded() -> None:
    with pytest.raises(BadRequest, match="fieldConfig: must not be larger than 1048576 bytes"):
        checked_field_config({"a": {"type": "string", "note": "x" * MAXIMUM_BYTES}})
