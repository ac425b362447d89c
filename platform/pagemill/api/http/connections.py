"""The connection to Postgres that a request works on."""

from __future__ import annotations

from typing import Annotated, TypeAlias, cast

from litestar.params import Dependency
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from db.statements import Connection
from pagemill.api.http.app_state import state_of
from pagemill.api.http.auditing import AUDITED, settle_before_release
from pagemill.api.http.idempotency import CLAIM
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.route_options import hands_connection_on

# The type of a handler's parameter; the framework cannot validate a union of two classes.
RequestConnection: TypeAlias = Annotated[Connection, Dependency(skip_validation=True)]

KeyConnection: TypeAlias = Annotated[Connection | None, Dependency(skip_validation=True)]
"""The connection whose transaction has the request's idempotency key, None for a request without a key."""

HELD = "connection"
"""Key of the held connection in the state of a request."""


async def provide_connection(request: ApiRequest) -> Connection:
    """Return the request's connection, which it holds until the answer begins.

    Handlers open the transactions that they need. With an idempotency key these are savepoints of the
    transaction that has the key; in a request that the audit records, of the one that has its event.
    """
    claimed = provide_key_connection(request)
    connection = await hold_connection(request) if claimed is None else claimed
    audited = request.scope["state"].get(AUDITED)
    if audited is not None:
        await audited.begin(connection, in_transaction=claimed is not None)
    return connection


def provide_key_connection(request: ApiRequest) -> Connection | None:
    """Return the connection of the transaction that has the request's idempotency key, None without a key.

    For handlers that share a transaction with other requests when they may.
    """
    claim = request.scope["state"].get(CLAIM)
    return None if claim is None else cast("Connection | None", claim.connection)


async def hold_connection(request: ApiRequest) -> Connection:
    """Return the connection that the request holds; acquire it first if it holds none."""
    held = request.scope["state"].get(HELD)
    if held is None:
        state = state_of(request)
        held = request.scope["state"][HELD] = (state.pool, await state.connection())
    return cast("Connection", held[1])


async def release_connection(scope: Scope) -> None:
    """Give the request's connection back, if it holds one. What was done on it is recorded and committed."""
    await settle_before_release(scope)
    pool, connection = scope.get("state", {}).pop(HELD, (None, None))
    if pool is not None:
        await pool.release(connection)


async def release_unless_handed_on(request: ApiRequest) -> None:
    """Give the guard's connection back, unless the handler goes on with it."""
    if not hands_connection_on(request.route_handler, request.method):
        await release_connection(request.scope)


def release_middleware(app: ASGIApp) -> ASGIApp:
    """Give a request's connection back before its answer is sent, whether or not a handler was reached."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without_connection(message: Message) -> None:
            if HELD in scope["state"]:
                await release_connection(scope)
            await send(message)

        try:
            await app(scope, receive, send_without_connection)
        finally:
            await release_connection(scope)

    return middleware
