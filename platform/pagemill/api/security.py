"""Who may call: every handler is protected unless it says ``public=True``."""

from __future__ import annotations

from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from db.principals import FIND_PRINCIPAL
from pagemill.api.permissions import PermissionSet, permissions_of
from pagemill.api.resources import action_of, resource_of
from pagemill.api.scopes import scope_of
from pagemill.api.state import state_of
from pagemill.api.tokens import Caller, read_token
from pagemill.errors import Forbidden

__all__ = ["Caller", "provide_caller", "provide_permissions", "require_caller"]

SCHEME = "bearer "


async def require_caller(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of all handlers: a valid token whose scopes, and the roles of whose principal, allow the call.

    It runs before the body is looked at: who may not call learns nothing about what is wrong with it. Roles
    are asked about the id in the path, whether there is such a resource or not.

    Raises Forbidden, and TooManyRequests when the organization sends too fast.
    """
    scope = connection.scope
    method = str(scope.get("method"))
    if handler.opt.get("public") or method == "OPTIONS":
        return
    header = connection.headers.get("authorization", "")
    if header[: len(SCHEME)].lower() != SCHEME:
        raise Forbidden
    state = state_of(connection)
    caller = read_token(header[len(SCHEME) :].strip(), state.settings)
    action = action_of(method)
    if caller.scopes is not None and scope_of(scope["path_template"], action) not in caller.scopes:
        raise Forbidden
    # Before the database is asked: a flood costs it nothing. The token is ours, so its organization is true.
    await state.request_rate.admit(caller.organization_id)
    async with state.connection() as database:
        row = await FIND_PRINCIPAL.fetch_one(database, caller.organization_id, caller.principal_id)
    if row is None:
        raise Forbidden
    permissions = permissions_of(row["permissions"])
    resource_id = resource_of(scope["path_template"]).identify(scope["path_params"], caller)
    if not permissions.allows(resource_id, action):
        raise Forbidden
    scope["state"]["caller"] = caller
    scope["state"]["permissions"] = permissions


def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """The caller that the guard has let in."""
    return cast("Caller", request.scope["state"]["caller"])


def provide_permissions(request: Request[Any, Any, Any]) -> PermissionSet:
    """What that caller's roles allow."""
    return cast("PermissionSet", request.scope["state"]["permissions"])
