"""The guard: checks token, scopes and permissions before every handler that does not say ``public=True``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from db.principals import PrincipalRow, find_principal
from pagemill.api.auth.named_resources import require_named
from pagemill.api.auth.requested_resources import action_of, resource_of
from pagemill.api.auth.scopes import scope_of
from pagemill.api.auth.tokens import Caller
from pagemill.api.http.app_state import state_of
from pagemill.api.http.auditing import audit_admitted
from pagemill.api.http.connections import hold_connection, release_unless_handed_on
from pagemill.api.http.requests import ApiRequest
from pagemill.errors import Forbidden
from pagemill.permissions import EVERYTHING, PermissionSet, permissions_of

__all__ = ["Caller", "provide_caller", "provide_permissions", "require_caller"]

SCHEME = "bearer"


async def require_caller(request: ApiRequest) -> None:
    """Check that the token, its scopes and the roles of its principal allow the request.

    The body has not been read yet, so a refused caller learns nothing about its mistakes. Roles are checked
    for the ids in the path and the query, whether or not there are such resources; those in the body follow
    when it has been read.

    Raises Forbidden, and TooManyRequests when the organization sends too fast.
    """
    scope, handler, method = request.scope, request.route_handler, request.method
    if handler.opt.get("public") or method == "OPTIONS":
        return
    state = state_of(request)
    caller = await state.tokens.read(_bearer_token(scope["headers"]))
    # Who sends is known from here on, also to the log and the audit of what is refused.
    scope["state"]["caller"] = caller
    action = action_of(method)
    if caller.scopes is not None and scope_of(scope["path_template"], action) not in caller.scopes:
        raise Forbidden
    # Before the database is used: a flood costs it nothing. The token is signed, so its organization is true.
    await state.request_rate.admit(caller.organization_id)

    async def ask_database() -> PrincipalRow | None:
        database = await hold_connection(request)
        row = await find_principal(
            database,
            organization_id=caller.organization_id,
            principal_id=caller.principal_id,
            grant_id=caller.grant_id,
            epoch=caller.epoch,
        )
        await release_unless_handed_on(request)
        return row

    asked_about = (caller.organization_id, caller.principal_id, caller.grant_id, caller.epoch)
    row = await state.principals.ask(asked_about, ask_database)
    if row is None:
        raise Forbidden
    permissions = permissions_of(row.permissions)
    resource_id = resource_of(scope["path_template"]).identify(scope["path_params"], caller)
    if not permissions.allows(resource_id, action):
        raise Forbidden
    if permissions is not EVERYTHING:
        query = request.query_params.multi_items() if scope["query_string"] else ()
        require_named(permissions, caller, method, scope["path_template"], scope["path_params"], query)
    scope["state"]["permissions"] = permissions
    audit_admitted(request, caller, resource_id)


def _bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the token in the Authorization header. Raises Forbidden when there is none."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() == SCHEME:
                return token.strip()
            break
    raise Forbidden


def provide_caller(request: ApiRequest) -> Caller:
    """Return the caller that the guard has admitted."""
    return cast("Caller", request.scope["state"]["caller"])


def provide_permissions(request: ApiRequest) -> PermissionSet:
    """Return the permissions of the caller."""
    return cast("PermissionSet", request.scope["state"]["permissions"])
