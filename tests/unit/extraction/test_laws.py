"""Extraction is pure, and what it loads cannot run code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pagemill.extraction.types

ROOM = Path(pagemill.extraction.types.__file__).parent
MODULES = sorted(ROOM.rglob("*.py"))
RUNS_CODE = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
TORCH_FILES = {"load", "save", "jit", "hub", "package"}
ELSEWHERE = (
    "db ray asyncpg piccolo litestar granian aioboto3 httpx pagemill.api pagemill.jobs pagemill.settings"
)


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def torch_files(tree: ast.AST) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch"
    } & TORCH_FILES


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.relative_to(ROOM).as_posix())
def test_nothing_is_pickled(module: Path) -> None:
    tree = ast.parse(module.read_text())
    assert not imported(tree) & RUNS_CODE
    assert not torch_files(tree)


def test_pickling_would_be_noticed() -> None:
    assert imported(ast.parse("from pickle import loads")) & RUNS_CODE
    assert torch_files(ast.parse("import torch\ntorch.load('weights.bin')")) == {"load"}


def test_extraction_needs_no_database_no_cluster_and_no_network() -> None:
    names = [
        f"pagemill.extraction.{module.relative_to(ROOM).with_suffix('').as_posix().replace('/', '.')}"
        for module in MODULES
        if module.name != "__init__.py"
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*sorted(set({ELSEWHERE.split()!r}) & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
