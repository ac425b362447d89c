"""The cookie of a browser in which somebody has signed in."""

from __future__ import annotations

from litestar.datastructures import Cookie

from db.statements import Connection
from pagemill.api.http.requests import ApiRequest
from pagemill.people.sessions import Session, SessionCookie, find_session

SESSION_COOKIE = "__Host-pagemill-session"
"""Browsers take a cookie of this prefix only from its own host, by TLS, for all paths."""


def session_cookie(value: SessionCookie, *, seconds: float) -> Cookie:
    """Return the cookie of a new session, which its browser keeps for so long."""
    return Cookie(
        key=SESSION_COOKIE,
        value=value,
        max_age=int(seconds),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )


def no_session_cookie() -> Cookie:
    """Return a cookie that has the browser forget its session."""
    return session_cookie(SessionCookie(""), seconds=0)


async def session_of(request: ApiRequest, connection: Connection) -> Session | None:
    """Return the session of the browser that sends a request; None when nobody has signed in."""
    return await find_session(connection, request.cookies.get(SESSION_COOKIE))
