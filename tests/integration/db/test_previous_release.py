"""The previous release's code works on this schema, while a release rolls out and after it was taken back.

``tests/fixtures/previous_release.json`` holds its statements; ``tools.release_statements`` has written it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from db.statements import Connection
from tests.integration.db.test_other_organizations import Organizations, organizations, problem_of
from tests.support.full_organization import FullOrganization
from tests.support.statement_arguments import arguments_of
from tests.unit.db.test_statements import load_statements
from tools.release_statements import FILE, RecordedRelease, RecordedStatement, type_of

__all__ = ["organizations"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREVIOUS = msgspec.json.decode((Path(__file__).parents[3] / FILE).read_bytes(), type=RecordedRelease)
CURRENT = {statement.sql for statement in load_statements().values()}
JUDGED = [
    statement
    for number, statement in enumerate(PREVIOUS.statements)
    if statement.sql not in CURRENT or number % 20 == 0
]
"""Statements that are run: those that have changed, and some of the others, which are tested as they are."""


class PreviousStatement:
    """A recorded statement, called as the statements of this release are."""

    def __init__(self, recorded: RecordedStatement) -> None:
        self.recorded = recorded
        self.sql = recorded.sql
        self.hints = {name: type_of(text) for name, text in recorded.hints.items()}

    async def __call__(self, connection: Connection, **arguments: Any) -> Any:
        """Return all rows, or the number of those that were touched."""
        sent = {f"{name}_sent": True for name in arguments}
        values = [{**sent, **arguments}[name] for name in self.recorded.parameters]
        if self.recorded.shape in ("count", "nothing"):
            return await connection.execute(self.sql, *values)
        return await connection.fetch(self.sql, *values)


async def test_each_statement_takes_and_gives_what_it_did(module_connection: Connection) -> None:
    different = {}
    for statement in PREVIOUS.statements:
        try:
            prepared = await module_connection.prepare(statement.sql)
        except asyncpg.PostgresError as error:
            different[statement.name] = str(error)
            continue
        takes = [parameter.name for parameter in prepared.get_parameters()]
        gives = {column.name: column.type.name for column in prepared.get_attributes()}
        if (takes, gives) != (statement.takes, statement.gives):
            different[statement.name] = f"takes {takes}, gives {gives}"
    assert different == {}


@pytest.mark.parametrize("statement", [pytest.param(one, id=one.name) for one in JUDGED if not one.crosses])
async def test_a_statement_keeps_organizations_apart(
    connection: Connection, organizations: Organizations, statement: RecordedStatement
) -> None:
    assert await problem_of(connection, PreviousStatement(statement), organizations) is None


@pytest.mark.parametrize("statement", [pytest.param(one, id=one.name) for one in JUDGED if one.crosses])
async def test_a_statement_that_crosses_them_runs(
    connection: Connection, organizations: Organizations, statement: RecordedStatement
) -> None:
    owner: FullOrganization = organizations.owner
    previous = PreviousStatement(statement)
    for _, arguments in arguments_of(previous, owner):
        given = {"organization_id": owner.organization_id, "organization_ids": [owner.organization_id]}
        named = {name: given[name] for name in given if name in statement.hints}
        transaction = connection.transaction()
        await transaction.start()
        try:
            # Some arguments are ids that are there already, or of rows that are not.
            with contextlib.suppress(asyncpg.IntegrityConstraintViolationError):
                await previous(connection, **named, **arguments)
        finally:
            await transaction.rollback()


async def test_a_schema_that_breaks_it_is_noticed(connection: Connection) -> None:
    """Rename a column in a transaction: statements of the previous release are refused."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("ALTER TABLE document RENAME COLUMN content_key TO content_name")
        refused = 0
        for statement in PREVIOUS.statements:
            savepoint = connection.transaction()
            await savepoint.start()
            try:
                await connection.prepare(statement.sql)
            except asyncpg.UndefinedColumnError:
                refused += 1
            await savepoint.rollback()
        assert refused > 0
    finally:
        await transaction.rollback()
