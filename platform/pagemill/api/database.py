"""A request's connection to Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeAlias

from litestar import Request
from litestar.params import Dependency

from db.statements import Connection
from pagemill.api.state import state_of

# What a handler declares; the framework cannot check a union of two classes.
RequestConnection: TypeAlias = Annotated[Connection, Dependency(skip_validation=True)]


async def provide_connection(request: Request[Any, Any, Any]) -> AsyncIterator[Connection]:
    """A connection for as long as the handler runs; handlers open the transactions that they need."""
    async with state_of(request).pool.acquire() as connection:
        yield connection
