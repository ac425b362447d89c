"""Options of routes that decide how a request uses the database, and the check that handlers do as they say.

Each POST says ``transaction="request"`` or ``transaction="own"``. With ``"request"`` its handler takes the
request's connection, and an idempotency key is a row of the same transaction. With ``"own"`` its handler has
transactions of its own, and the key is committed before and completed after them.

The handler of a GET works on the connection on which the guard has asked for the caller's permissions, unless
it says ``own_connection=True``. The other methods get a connection of their own after their body has come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, cast

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

Transaction: TypeAlias = Literal["request", "own"]

TRANSACTION = "transaction"
OWN_CONNECTION = "own_connection"
CONNECTION = "connection"
"""Name of the dependency that provides the request's connection."""


def transaction_of(handler: HTTPRouteHandler) -> Transaction:
    """Return whose transaction the handler of a POST works in."""
    return cast("Transaction", handler.opt[TRANSACTION])


def hands_connection_on(handler: HTTPRouteHandler, method: str) -> bool:
    """Return whether the handler works on the connection that the guard has used."""
    return method == "GET" and not handler.opt.get(OWN_CONNECTION, False)


def check_route_options(app: Litestar) -> None:
    """Check that each protected handler says how it uses the database. Raises RuntimeError."""
    for handler in _protected_handlers(app):
        problem = _problem_with_transaction(handler) or _problem_with_connection(handler)
        if problem:
            raise RuntimeError(f"{handler}: {problem}")


def _protected_handlers(app: Litestar) -> Iterator[HTTPRouteHandler]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if "OPTIONS" not in handler.http_methods and not handler.opt.get("public"):
                    yield handler


def _problem_with_transaction(handler: HTTPRouteHandler) -> str | None:
    said: Any = handler.opt.get(TRANSACTION)
    if "POST" not in handler.http_methods:
        return None if said is None else f"only POST has a transaction to say, not {said!r}"
    if said is None:
        return 'a POST has to say transaction="request" or transaction="own"'
    expected = "request" if _takes_connection(handler) else "own"
    return None if said == expected else f"says transaction={said!r}, but its parameters say {expected!r}"


def _problem_with_connection(handler: HTTPRouteHandler) -> str | None:
    says_own = handler.opt.get(OWN_CONNECTION, False)
    if "GET" not in handler.http_methods:
        return "only GET can have a connection of its own" if says_own else None
    if says_own and _takes_connection(handler):
        return "says own_connection=True, but takes the request's connection"
    if not says_own and not _takes_connection(handler):
        return "takes no connection, and does not say own_connection=True"
    return None


def _takes_connection(handler: HTTPRouteHandler) -> bool:
    return CONNECTION in handler.parsed_fn_signature.parameters
