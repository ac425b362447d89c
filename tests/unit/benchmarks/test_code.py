"""The figures of the code are counted as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.code import measure, statement_lines

MODULE = '''"""A module."""

from typing import Any


def documented(value: Any) -> None:
    """Do it."""
    row = value
    print(row["name"])  # a comment


class Undocumented:
    def method(self) -> int:
        return 1

    def _private(self, value: Any) -> None: ...
'''


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one module of code and one of tests."""
    for folder in ("platform/pagemill", "serve_apps", "train_jobs", "db/migrations", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "serve_apps/one.py").write_text(MODULE)
    (tmp_path / "db/migrations/skipped.py").write_text(MODULE)
    (tmp_path / "tests/test_one.py").write_text("# nothing\n\nassert True\n")
    return tmp_path


def test_figures(checkout: Path) -> None:
    figures = measure(checkout)
    assert figures["modules"] == 1
    assert figures["functions"] == 3
    assert figures["publicDefinitions"] == 4
    assert figures["docstringCoverage"] == 0.5
    assert figures["publicSignaturesWithAny"] == 1
    assert figures["rowsReadByNameOutsideDb"] == 1
    assert (figures["codeLines"], figures["testLines"]) == (8, 1)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("", 0),
        ("# a comment\n", 0),
        ('"""A docstring."""\n', 0),
        ('x = """\n1\n"""\n', 3),
        ("f(\n    1,\n)\n", 3),
    ],
)
def test_lines_of_code(source: str, lines: int) -> None:
    assert statement_lines(source) == lines
