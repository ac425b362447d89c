"""Named SQL statements; the only way SQL is run.

A statement for tenant data takes the organization as ``$1`` and filters on it. Statements that must cross
organizations (the dispatcher's claim, the reaper) say why. ``tests/unit/db/test_statements.py`` walks
``REGISTRY`` and rejects a tenant statement without its filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with a name for logs and plans. ``crosses`` is empty for a tenant statement."""

    name: str
    sql: str
    crosses: str = ""

    async def fetch(self, connection: Connection, *arguments: Any) -> list[asyncpg.Record]:
        return await connection.fetch(self.sql, *arguments)  # type: ignore[no-any-return]

    async def fetch_one(self, connection: Connection, *arguments: Any) -> asyncpg.Record | None:
        return await connection.fetchrow(self.sql, *arguments)

    async def fetch_value(self, connection: Connection, *arguments: Any) -> Any:
        return await connection.fetchval(self.sql, *arguments)

    async def execute(self, connection: Connection, *arguments: Any) -> int:
        """Run it and return the number of rows it touched."""
        status: str = await connection.execute(self.sql, *arguments)
        tail = status.rsplit(" ", 1)[-1]
        return int(tail) if tail.isdigit() else 0


REGISTRY: dict[str, Statement] = {}


def _register(statement: Statement) -> Statement:
    if statement.name in REGISTRY:
        raise ValueError(f"two statements are named {statement.name}")
    REGISTRY[statement.name] = statement
    return statement


def tenant(name: str, sql: str) -> Statement:
    """A statement on one organization's data: ``$1`` is the organization."""
    return _register(Statement(name, sql))


def crossing(name: str, reason: str, sql: str) -> Statement:
    """A statement that crosses organizations, or touches no tenant data; ``reason`` says why."""
    return _register(Statement(name, sql, reason))
