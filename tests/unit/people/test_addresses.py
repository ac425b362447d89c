"""Addresses have one form, and what is none is refused."""

from __future__ import annotations

import pytest

from pagemill.people.addresses import read_address


@pytest.mark.parametrize("text", ["Ada@Example.com", " ada@example.com\n"])
def test_one_form(text: str) -> None:
    assert read_address(text) == "ada@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example",
        "a b@example.com",
        "a@b.de\r\nBcc: c@d.de",
        "x" * 250 + "@b.de",
    ],
)
def test_what_is_none(text: str) -> None:
    assert read_address(text) is None
