"""Byte ranges of files."""

from __future__ import annotations

import pytest

from pagemill.api.resources.files import requested_range


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("items=0-1", None),
        ("bytes=0-1,3-4", None),
        ("bytes=0-", (0, 10)),
        ("bytes=2-4", (2, 5)),
        ("bytes=2-99", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=-0", (10, 10)),
        ("bytes=10-", (10, 10)),
    ],
)
def test_ranges(asked: str | None, part: tuple[int, int] | None) -> None:
    assert requested_range(asked, 10) == part
