"""docs/security.md: its tests exist, its lists are whole, and no item is without a test or a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
REASON = re.compile(r"Not (?:applicable|yet): \S")

TOP_TEN = {f"API{number}" for number in range(1, 11)}
ASVS = {
    "2": {1: 12, 2: 3, 3: 3, 4: 5, 5: 7, 6: 3, 7: 6, 8: 7, 9: 3, 10: 4},
    "3": {1: 1, 2: 4, 3: 4, 4: 5, 5: 3, 7: 1},
    "4": {1: 5, 2: 2, 3: 3},
    "5": {1: 5, 2: 8, 3: 10, 4: 3, 5: 4},
    "12": {1: 3, 2: 1, 3: 6, 4: 2, 5: 2, 6: 1},
    "13": {1: 5, 2: 6, 3: 2, 4: 2},
}
"""Of chapters and their sections the number of the last item of levels 1 and 2, in version 4.0.3."""
DELETED = {"4.1.4", "13.1.2", "13.2.4"}


def rows() -> Iterator[list[str]]:
    """The rows of the lists, each with its cells."""
    for line in TEXT.partition("## OWASP API Security Top 10")[2].splitlines():
        if line.startswith("| ") and not line.startswith("| item"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def items(first: str) -> Iterator[str]:
    """The items that the first cell of a row names: one, or a range of one section."""
    numbers = re.match(r"(\d+\.\d+)\.(\d+)(?:-(?:\d+\.\d+\.)?(\d+))?", first)
    if numbers is None:
        yield first.split()[0]
        return
    section, begin, end = numbers.groups()
    for number in range(int(begin), int(end or begin) + 1):
        yield f"{section}.{number}"


def wanted() -> set[str]:
    asvs = {
        f"{chapter}.{section}.{number}"
        for chapter, sections in ASVS.items()
        for section, last in sections.items()
        for number in range(1, last + 1)
    }
    return TOP_TEN | (asvs - DELETED)


def is_defined(path: str, name: str) -> bool:
    file = ROOT / path
    return file.exists() and re.search(rf"^\s*(?:async )?def {name}\(", file.read_text(), re.M) is not None


def test_every_named_test_exists() -> None:
    named = NAMED_TEST.findall(TEXT)
    assert len(named) > 40
    assert [one for one in named if not is_defined(*one)] == []


def test_a_test_that_does_not_exist_is_found_out() -> None:
    assert not is_defined("tests/unit/test_security_document.py", "test_of_nothing")
    assert not is_defined("tests/unit/test_nothing.py", "test_of_nothing")


def test_every_item_is_there_once() -> None:
    named = [item for row in rows() for item in items(row[0])]
    assert len(named) == len(set(named))
    assert wanted() - set(named) == set()


def test_every_item_has_a_test_or_a_reason() -> None:
    without = [row[0] for row in rows() if not NAMED_TEST.search(row[-1]) and not REASON.match(row[-1])]
    assert without == []


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("API3 Broken object property", ["API3"]),
        ("4.1.5 Fails securely", ["4.1.5"]),
        ("3.5.1-3.5.3 Tokens", ["3.5.1", "3.5.2", "3.5.3"]),
    ],
)
def test_ranges_of_items(first: str, expected: list[str]) -> None:
    assert list(items(first)) == expected
