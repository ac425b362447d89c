"""Who may call: every handler is protected unless it says ``public=True``."""

from __future__ import annotations

from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from db.organizations import APP_CLIENT_EXISTS
from pagemill.api.state import state_of
from pagemill.api.tokens import Caller, read_token
from pagemill.errors import Forbidden

__all__ = ["Caller", "provide_caller", "require_caller"]

SCHEME = "bearer "


async def require_caller(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of all handlers: a valid token of an app client that still exists. Raises Forbidden.

    It runs before the body is looked at: who may not call learns nothing about what is wrong with it.
    """
    if handler.opt.get("public") or connection.scope.get("method") == "OPTIONS":
        return
    header = connection.headers.get("authorization", "")
    if header[: len(SCHEME)].lower() != SCHEME:
        raise Forbidden
    state = state_of(connection)
    caller = read_token(header[len(SCHEME) :].strip(), state.settings)
    async with state.connection() as database:
        if not await APP_CLIENT_EXISTS.fetch_value(database, caller.organization_id, caller.principal_id):
            raise Forbidden
    connection.scope["state"]["caller"] = caller


def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """The caller that the guard has let in."""
    return cast("Caller", request.scope["state"]["caller"])
