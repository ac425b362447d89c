"""Figures of the code: sizes, docstrings, untyped edges. ``make code-figures`` writes them as JSON.

``--root`` names another checkout, to compare with.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import statistics
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

ROOMS = ("platform/pagemill", "serve_apps", "train_jobs", "db")
TESTS = ("tests",)
LONG_MODULE = 400
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Definition: TypeAlias = ast.Module | ast.ClassDef | Function


def main() -> None:
    """Measure a checkout and print the figures, or write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures = json.dumps(measure(arguments.root), indent=2) + "\n"
    if arguments.out is None:
        print(figures, end="")
    else:
        arguments.out.write_text(figures)


def measure(root: Path) -> dict[str, float]:
    """Return the figures of a checkout."""
    modules = {path: ast.parse(path.read_text()) for path in _modules(root, ROOMS)}
    functions = [node for tree in modules.values() for node in ast.walk(tree) if isinstance(node, Function)]
    lengths = sorted(_length(function) for function in functions)
    public = [node for tree in modules.values() for node in _public(tree)]
    documented = sum(ast.get_docstring(node) is not None for node in public)
    code_lines = sum(statement_lines(path.read_text()) for path in modules)
    test_lines = sum(statement_lines(path.read_text()) for path in _modules(root, TESTS))
    return {
        "modules": len(modules),
        "modulesOver400Lines": sum(_lines(path) > LONG_MODULE for path in modules),
        "functions": len(functions),
        "functionLinesMedian": statistics.median(lengths),
        "functionLines90thPercentile": lengths[int(len(lengths) * 0.9)],
        "functionLinesMaximum": lengths[-1],
        "publicDefinitions": len(public),
        "docstringCoverage": round(documented / len(public), 4),
        "publicSignaturesWithAny": sum(isinstance(node, Function) and _takes_any(node) for node in public),
        "rowsReadByNameOutsideDb": sum(
            _is_row_subscript(node)
            for path, tree in modules.items()
            if path.relative_to(root).parts[0] != "db"
            for node in ast.walk(tree)
        ),
        "codeLines": code_lines,
        "testLines": test_lines,
        "testLinesPerCodeLine": round(test_lines / code_lines, 2),
    }


def _modules(root: Path, rooms: Sequence[str]) -> Iterator[Path]:
    for room in rooms:
        for path in sorted((root / room).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def statement_lines(source: str) -> int:
    """Return the number of lines that hold code: without blank lines, comments and docstrings."""
    texts = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in NOT_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - texts)


def _length(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def _public(tree: ast.Module) -> Iterator[Definition]:
    """Yield the module, and its classes, functions and methods whose names begin with no underscore."""
    if tree.body:
        yield tree
    yield from _public_members(tree.body)


def _public_members(body: Sequence[ast.stmt]) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public_members(node.body)


def _takes_any(function: Function) -> bool:
    arguments = function.args
    annotations = [one.annotation for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return any(
        isinstance(node, ast.Name) and node.id == "Any"
        for annotation in (*annotations, function.returns)
        if annotation is not None
        for node in ast.walk(annotation)
    )


def _is_row_subscript(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("row", "record")
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    )


if __name__ == "__main__":
    main()
