"""Every statement is understood by Postgres with the current schema."""

from __future__ import annotations

import importlib
import pkgutil

import asyncpg

import db
from db.statements import REGISTRY

NOT_STATEMENTS = ("piccolo_app", "piccolo_conf", "tables", "migrations")


async def test_every_statement_can_be_prepared(pool: asyncpg.Pool) -> None:
    for module in pkgutil.iter_modules(db.__path__):
        if module.name not in NOT_STATEMENTS:
            importlib.import_module(f"db.{module.name}")
    refused = {}
    async with pool.acquire() as connection:
        for name, statement in REGISTRY.items():
            try:
                await connection.prepare(statement.sql)
            except asyncpg.PostgresError as error:
                refused[name] = str(error)
    assert refused == {}
