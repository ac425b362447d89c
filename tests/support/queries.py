"""Which statements were run: lists must not run one for each row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from db.statements import Statement, UntypedStatement

METHODS = ("fetch", "fetch_one", "fetch_value", "execute")


@contextlib.contextmanager
def statements_run() -> Iterator[list[str]]:
    """The names of the statements that are run meanwhile, in their order."""
    names: list[str] = []
    with contextlib.ExitStack() as stack:
        methods = [(Statement, "_run"), *((UntypedStatement, method) for method in METHODS)]
        for owner, method in methods:
            original = getattr(owner, method)

            async def recorded(statement: Any, *arguments: Any, _run: Any = original) -> Any:
                names.append(statement.name)
                return await _run(statement, *arguments)

            stack.enter_context(patch.object(owner, method, recorded))
        yield names
