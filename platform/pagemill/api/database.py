"""A request's connection to Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeAlias

from litestar import Request
from litestar.params import Dependency
from litestar.types import ASGIApp, Receive, Scope, Send

from db.statements import Connection
from pagemill.api.idempotency import CLAIM
from pagemill.api.state import state_of

# What a handler declares; the framework cannot check a union of two classes.
RequestConnection: TypeAlias = Annotated[Connection, Dependency(skip_validation=True)]

HELD = "connection"


async def provide_connection(request: Request[Any, Any, Any]) -> AsyncIterator[Connection]:
    """A connection for as long as the handler runs; handlers open the transactions that they need.

    With an idempotency key they are parts of the transaction that the key is in.
    """
    claim = request.scope["state"].get(CLAIM)
    if claim is not None and claim.connection is not None:
        yield claim.connection
        return
    state = state_of(request)
    pool, connection = state.pool, await state.connection()
    request.scope["state"][HELD] = (pool, connection)
    try:
        yield connection
    finally:
        await _release(request.scope)


def release_middleware(app: ASGIApp) -> ASGIApp:
    """Gives back connections of requests that never came to their handler.

    When one dependency refuses a request, Litestar drops the others without ending them.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            await _release(scope)

    return middleware


async def _release(scope: Scope) -> None:
    pool, connection = scope.get("state", {}).pop(HELD, (None, None))
    if pool is not None:
        await pool.release(connection)
