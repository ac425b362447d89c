"""Names of the statements that are run: a list must not run one for each of its rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

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
