"""Tests of how connections are acquired: in one way, which has a time limit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("platform", "serve_apps", "train_jobs", "db")
ACQUIRING = Path("db/pool.py")
ACQUIRING_IMPLICITLY = {"execute", "executemany", "fetch", "fetchrow", "fetchval"}
LOCKS = ("Lock", "Semaphore")


def unbounded_acquisitions(source: str) -> Iterator[int]:
    """Yield the lines that take a connection from a pool without ``db.pool.acquire``."""
    tree = ast.parse(source)
    locks = set(names_of_locks(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        receiver = ast.unparse(node.func.value)
        if node.func.attr == "acquire" and receiver not in locks:
            yield node.lineno
        if node.func.attr in ACQUIRING_IMPLICITLY and receiver.endswith("pool"):
            yield node.lineno


def names_of_locks(tree: ast.Module) -> Iterator[str]:
    """Yield what is assigned a new lock or semaphore, like ``self._slots``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        if ast.unparse(node.value.func).endswith(LOCKS):
            yield from map(ast.unparse, node.targets)


@pytest.mark.parametrize(
    "source",
    [
        "async def f(pool):\n    async with pool.acquire() as connection: ...",
        "async def f(self):\n    connection = await self._state.pool.acquire()",
        "async def f(self):\n    async with self._claiming.acquire(timeout=1) as connection: ...",
        "async def f(pool):\n    rows = await pool.fetch('SELECT 1')",
    ],
)
def test_acquisition_without_limit_is_found(source: str) -> None:
    assert list(unbounded_acquisitions(source)) == [2]


def test_lock_is_no_pool() -> None:
    source = "slots = asyncio.Semaphore(2)\nasync def f():\n    await slots.acquire()"
    assert list(unbounded_acquisitions(source)) == []


def test_nothing_acquires_a_connection_without_limit() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if path.relative_to(ROOT) != ACQUIRING
        for line in unbounded_acquisitions(path.read_text())
    ]
    assert found == []
