"""Tests of the check that routes say how they use the database."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar, get, patch, post
from litestar.di import Provide

from pagemill.api import app as application
from pagemill.api.app import CONTROLLERS, create_app
from pagemill.api.http.route_options import check_route_options, hands_connection_on, transaction_of
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings


@post("/request", transaction="request")
async def in_request_transaction(connection: str) -> None:
    """Does nothing."""


@post("/own", transaction="own")
async def in_own_transaction() -> None:
    """Does nothing."""


@post("/public", public=True)
async def public() -> None:
    """Does nothing."""


@get("/handed-on")
async def handed_on(connection: str) -> None:
    """Does nothing."""


@get("/own-connection", own_connection=True)
async def own_connection() -> None:
    """Does nothing."""


@patch("/patch")
async def changes(connection: str) -> None:
    """Does nothing."""


GOOD = [in_request_transaction, in_own_transaction, public, handed_on, own_connection, changes]


@post("/bad")
async def says_nothing(connection: str) -> None:
    """Does nothing."""


@post("/bad", transaction="own")
async def says_own_and_takes_the_request_s(connection: str) -> None:
    """Does nothing."""


@post("/bad", transaction="request")
async def says_request_and_takes_none() -> None:
    """Does nothing."""


@post("/bad", transaction="shared")
async def says_an_unknown_word(connection: str) -> None:
    """Does nothing."""


@get("/bad", transaction="request")
async def says_transaction_of_a_get(connection: str) -> None:
    """Does nothing."""


@get("/bad")
async def takes_none_and_says_nothing() -> None:
    """Does nothing."""


@get("/bad", own_connection=True)
async def says_own_connection_and_takes_the_guard_s(connection: str) -> None:
    """Does nothing."""


@patch("/bad", own_connection=True)
async def says_own_connection_of_a_patch() -> None:
    """Does nothing."""


BAD = {
    says_nothing: "has to say",
    says_own_and_takes_the_request_s: "says transaction='own'",
    says_request_and_takes_none: "says transaction='request'",
    says_an_unknown_word: "says transaction='shared'",
    says_transaction_of_a_get: "only POST",
    takes_none_and_says_nothing: "does not say own_connection=True",
    says_own_connection_and_takes_the_guard_s: "takes the request's connection",
    says_own_connection_of_a_patch: "only GET",
}


def provide_connection() -> str:
    return "connection"


def litestar(*handlers: Any) -> Litestar:
    provider = Provide(provide_connection, sync_to_thread=False)
    return Litestar(handlers, dependencies={"connection": provider}, openapi_config=None)


@pytest.mark.parametrize("handler", BAD, ids=lambda handler: handler.fn.__name__)
def test_handler_that_does_not_do_as_it_says_is_refused(handler: Any) -> None:
    with pytest.raises(RuntimeError, match=BAD[handler]) as refused:
        check_route_options(litestar(*GOOD, handler))
    assert handler.fn.__name__ in str(refused.value)


def test_options_are_read_from_the_route() -> None:
    app = litestar(*GOOD)
    check_route_options(app)
    handlers = {route.path: route.route_handlers[0] for route in app.routes}
    assert transaction_of(handlers["/request"]) == "request"
    assert transaction_of(handlers["/own"]) == "own"
    assert hands_connection_on(handlers["/handed-on"], "GET")
    assert not hands_connection_on(handlers["/own-connection"], "GET")
    assert not hands_connection_on(handlers["/patch"], "PATCH")


@pytest.mark.parametrize("handler", BAD, ids=lambda handler: handler.fn.__name__)
def test_application_with_such_a_handler_cannot_be_created(
    monkeypatch: pytest.MonkeyPatch, handler: Any
) -> None:
    settings = Settings(
        database_url="postgresql://unused",
        objects_url="file:///unused",
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
    )
    create_app(settings)
    monkeypatch.setattr(application, "CONTROLLERS", [*CONTROLLERS, handler])
    with pytest.raises(RuntimeError, match=BAD[handler]):
        create_app(settings)
