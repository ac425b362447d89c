"""Names of the statements that are run: a list must not run one for each of its rows.

Each statement is a round trip to Postgres, and so are the beginning and the end of a transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from asyncpg.transaction import Transaction

from db.statements import Connection, Statement


@contextlib.contextmanager
def statements_run() -> Iterator[list[str]]:
    """Record the names of the statements that are run meanwhile, in their order."""
    names: list[str] = []
    run = Statement._run

    async def recorded(
        statement: Statement[..., Any], connection: Connection, arguments: dict[str, Any]
    ) -> Any:
        names.append(statement.name)
        return await run(statement, connection, arguments)

    with patch.object(Statement, "_run", recorded):
        yield names


@contextlib.contextmanager
def round_trips() -> Iterator[list[str]]:
    """Record the statements that are run meanwhile, and where transactions begin."""
    start = Transaction.start
    with statements_run() as run:

        async def recorded(transaction: Transaction) -> None:
            run.append("BEGIN")
            await start(transaction)

        with patch.object(Transaction, "start", recorded):
            yield run
