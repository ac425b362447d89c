"""The one rule for text that is stored."""

from __future__ import annotations

import pytest

from pagemill.storable_text import has_nul, is_storable, is_storable_query


@pytest.mark.parametrize(
    ("text", "storable"),
    [("", True), ("ada", True), ("ä\U0001f600", True), ("a\0", False), ("ä\ud800", False), ("\udfff", False)],
)
def test_text(text: str, storable: bool) -> None:
    assert is_storable(text) is storable


@pytest.mark.parametrize(
    ("encoded", "found"),
    [
        (rb'"\u0000"', True),
        (rb'"a\\\u0000"', True),
        (rb'"\\u0000"', False),
        (rb'"\\\\u0000"', False),
        (rb'"\\u0000 \u0000"', True),
        (b'"u0000"', False),
    ],
)
def test_json(encoded: bytes, found: bool) -> None:
    assert has_nul(encoded) is found


@pytest.mark.parametrize(
    ("query", "storable"),
    [
        (b"", True),
        (b"name=a+b&name=%C3%A4", True),
        (b"name=%00", False),
        (b"%00=a", False),
        (b"name=%ED%A0%80", False),
        (b"name=%FF", False),
        (b"name=\xc3\xa4", True),
        (b"name=\xff", False),
        (b"name=%2500", True),
        (b"name=%", True),
    ],
)
def test_queries(query: bytes, storable: bool) -> None:
    assert is_storable_query(query) is storable
