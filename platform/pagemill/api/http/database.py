"""A request's connection to Postgres."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, cast

from litestar import Request
from litestar.params import Dependency
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from db.statements import Connection
from pagemill.api.http.idempotency import CLAIM
from pagemill.api.http.state import state_of

# What a handler declares; the framework cannot check a union of two classes.
RequestConnection: TypeAlias = Annotated[Connection, Dependency(skip_validation=True)]

HELD = "connection"


async def provide_connection(request: Request[Any, Any, Any]) -> Connection:
    """A connection until the answer begins; handlers open the transactions that they need.

    With an idempotency key they are parts of the transaction that the key is in.
    """
    claim = request.scope["state"].get(CLAIM)
    if claim is not None and claim.connection is not None:
        return cast("Connection", claim.connection)
    return await hold_connection(request)


async def hold_connection(request: Request[Any, Any, Any]) -> Connection:
    """The request's connection, which it holds until it ends or ``release_connection`` is called."""
    held = request.scope["state"].get(HELD)
    if held is None:
        state = state_of(request)
        held = request.scope["state"][HELD] = (state.pool, await state.connection())
    return cast("Connection", held[1])


async def release_connection(scope: Scope) -> None:
    """Give the request's connection back, if it holds one: before it waits for something else."""
    pool, connection = scope.get("state", {}).pop(HELD, (None, None))
    if pool is not None:
        await pool.release(connection)


def goes_on_to_handler(request: Request[Any, Any, Any]) -> bool:
    """Whether the handler takes what the guard has held: other requests wait for their bodies first."""
    return request.method == "GET" and "connection" in request.route_handler.parsed_fn_signature.parameters


def release_middleware(app: ASGIApp) -> ASGIApp:
    """Gives back the connection of a request before its answer is sent, also when no handler was reached."""

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
