"""Cookies of the pages beside that of the session: of the browser's forms, and of its way to a provider."""

from __future__ import annotations

import re
import secrets
from typing import Final

from litestar.datastructures import Cookie

from pagemill.api.http.requests import ApiRequest

FORM_COOKIE: Final = "__Host-pagemill-form"
"""A random value that the tokens of all forms of a browser are bound to."""
PROVIDER_COOKIE: Final = "__Host-pagemill-openid-"
REQUEST_COOKIE: Final = "__Host-pagemill-request-"
"""The authorization request of a browser on its way to a provider: one cookie could be too long for both."""
CONNECTING_COOKIE: Final = "__Host-pagemill-connect"
"""An account at a provider that is to be connected to a person here."""
STATE_LETTERS: Final = 12
"""So many of the state's stand in the name of its cookie: two tabs have a cookie each."""
MOST_COOKIES: Final = 4
"""Of two journeys."""
FORM_SECONDS: Final = 12 * 3600
_OF_JOURNEY = re.compile(f"({PROVIDER_COOKIE}|{REQUEST_COOKIE})[0-9A-Za-z]{{1,{STATE_LETTERS}}}")
_VALUE = re.compile(r"[-_A-Za-z0-9]{43}")


def form_value(request: ApiRequest) -> str | None:
    """Return the value of the browser's form cookie, None when it has none of ours."""
    value = request.cookies.get(FORM_COOKIE, "")
    return value if _VALUE.fullmatch(value) else None


def new_form_value() -> str:
    """Return a new value, which only its browser will know."""
    return secrets.token_urlsafe(32)


def form_cookie(value: str) -> Cookie:
    """Return the cookie with a form value."""
    return _cookie(FORM_COOKIE, value, FORM_SECONDS)


def connecting_value(request: ApiRequest) -> str:
    """Return the browser's cookie of an account that is to be connected, empty without it."""
    return request.cookies.get(CONNECTING_COOKIE, "")


def connecting_cookie(value: str, *, seconds: int) -> Cookie:
    """Return that cookie; with 0 seconds the browser forgets it."""
    return _cookie(CONNECTING_COOKIE, value, seconds)


def provider_cookies(state: str, handshake: str, sealed: str, *, seconds: int) -> list[Cookie]:
    """Return the cookies of a browser that is sent to a provider with a state; with 0 it forgets them."""
    kept = {PROVIDER_COOKIE: handshake, REQUEST_COOKIE: sealed}
    return [_cookie(prefix + _mark(state), value, seconds) for prefix, value in kept.items()]


def forgotten_cookies(request: ApiRequest) -> list[Cookie]:
    """Return cookies that have a browser forget its journeys to providers, when there are too many of them.

    They would make its requests longer than proxies take. Those that go on are not known from the others.
    """
    names = [name for name in request.cookies if _OF_JOURNEY.fullmatch(name)]
    return [_cookie(name, "", 0) for name in names] if len(names) >= MOST_COOKIES else []


def cookie_of_state(request: ApiRequest, prefix: str, state: str) -> str:
    """Return one of these cookies, empty without it."""
    return request.cookies.get(prefix + _mark(state), "")


def _mark(state: str) -> str:
    """Return the part of a state that stands in names; states are of letters that names may have."""
    return "".join(letter for letter in state[:STATE_LETTERS] if letter.isascii() and letter.isalnum())


def _cookie(key: str, value: str, seconds: int) -> Cookie:
    return Cookie(key=key, value=value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")
