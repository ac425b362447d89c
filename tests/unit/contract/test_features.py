"""Every feature of the contract is accounted for: by tests that exist, or by what is still to come."""

from __future__ import annotations

import ast
import functools
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
FEATURES = ROOT / "tests" / "contract" / "features.toml"
ROWS = {f"C{number:03}" for number in range(1, 230)} | {f"X{number:03}" for number in range(1, 21)}


def features() -> list[dict[str, Any]]:
    return tomllib.loads(FEATURES.read_text())["feature"]  # type: ignore[no-any-return]


@functools.cache
def functions_of(path: Path) -> frozenset[str]:
    """The test functions of a module."""
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text())
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def test_every_row_is_there_once() -> None:
    ids = [feature["id"] for feature in features()]
    assert sorted(ids) == sorted(ROWS)
    assert all(feature["entry"].strip() for feature in features())


def test_every_row_has_tests_or_a_reason() -> None:
    for feature in features():
        assert feature.keys() <= {"id", "entry", "tests", "later"}, feature["id"]
        assert feature.get("tests") or feature.get("later"), feature["id"]
        assert feature.get("later", "a reason").strip(), feature["id"]


def test_every_named_test_exists() -> None:
    for feature in features():
        named = feature.get("tests", [])
        assert len(named) == len(set(named)), feature["id"]
        for test in named:
            path, name = test.split("::")
            assert name in functions_of(ROOT / path), f"{feature['id']}: {test}"
