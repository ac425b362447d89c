"""Schemas in few words."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.api.openapi.described_members import TIME
from pagemill.api.openapi.schema_words import type_words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any value"),
        ({"type": "string"}, "string"),
        ({"type": "string", "maxLength": 9}, "string, at most 9 characters"),
        ({"type": "integer", "minimum": 1, "maximum": 3}, "integer, 1 to 3"),
        ({"type": "number", "minimum": 0}, "number, at least 0"),
        ({"type": "string", "pattern": "<a>"}, "string, <code>&lt;a&gt;</code>"),
        ({"type": "string", "pattern": TIME}, "time"),
        ({"type": "boolean", "default": False}, "boolean, default <code>false</code>"),
        ({"enum": ["a", 1]}, "<code>a</code> | <code>1</code>"),
        ({"const": "a"}, "<code>a</code>"),
        ({"$ref": "#/components/schemas/Model"}, '<a href="#Model">Model</a>'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 2}, "list of string, at most 2 entries"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object with values of string"),
        ({"type": "object", "additionalProperties": False}, "object"),
    ],
)
def test_words_of_a_schema(schema: dict[str, Any], words: str) -> None:
    assert type_words(schema) == words
