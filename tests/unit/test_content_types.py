"""Recognition of content types from the first bytes."""

from __future__ import annotations

import pytest

from pagemill.content_types import sniff
from tests.support.samples import BY_TYPE, PDF


@pytest.mark.parametrize("content_type", BY_TYPE)
def test_types_are_recognised(content_type: str) -> None:
    assert sniff(BY_TYPE[content_type]) == content_type


def test_a_pdf_begins_within_the_first_kilobyte() -> None:
    assert sniff(b" " * 1019 + PDF) == "application/pdf"
    assert sniff(b" " * 1020 + PDF) is None


@pytest.mark.parametrize("beginning", [b"", b"hello", b"PK\3\4", b"GIF89a", b"RIFF\0\0\0\0WAVE", b"MZ"])
def test_other_types_are_refused(beginning: bytes) -> None:
    assert sniff(beginning) is None
