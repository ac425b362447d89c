"""Wishes of an app for a sign-in: ``prompt``, ``max_age``, hints (OpenID Connect Core, 3.1.2.1).

Times are those of the database alone: a sign-in is too old by its own age, and a new one is known by being
another session. So no clock that is wrong sends a browser in circles.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from pagemill.ids import UserId
from pagemill.people.addresses import read_address
from pagemill.people.sessions import Session

NOT_SUPPORTED: Final = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
"""Parameters that would change what is asked, and the errors that say that they do not (6.1, 7.2.1)."""
AGAIN: Final = frozenset({"login", "consent", "select_account"})
"""Prompts that the sign-in page answers: it names the app, and asks for an account and its password."""
OLDEST: Final = 2**31


class WishRefused(Exception):
    """A wish that cannot be, with OAuth's word for it."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class SignInWishes(NamedTuple):
    """Wishes of an app: no page at all, another sign-in, one of the last seconds, an address, a user."""

    silent: bool = False
    again: bool = False
    max_age: int | None = None
    email: str | None = None
    user_id: UserId | None = None

    def are_fulfilled_by(self, session: Session | None) -> bool:
        """Return whether a person who has signed in need not do it again."""
        if session is None or self.again:
            return False
        # A session that is read was seen just now.
        age = session.seen_time - session.created_time
        return self.max_age is None or age.total_seconds() <= self.max_age


def read_wishes(parameters: Mapping[str, Sequence[str]]) -> SignInWishes:
    """Return the wishes of an authorization request. Raises WishRefused."""
    for name, error in NOT_SUPPORTED.items():
        if name in parameters:
            raise WishRefused(error)
    if _one(parameters, "response_mode") not in ("", "query"):
        raise WishRefused("invalid_request")
    prompts = set(_one(parameters, "prompt").split())
    if "none" in prompts and len(prompts) > 1:
        raise WishRefused("invalid_request")
    hint = _one(parameters, "id_token_hint")
    return SignInWishes(
        silent="none" in prompts,
        again=not AGAIN.isdisjoint(prompts),
        max_age=_read_age(_one(parameters, "max_age")),
        email=read_address(_one(parameters, "login_hint")),
        user_id=_read_subject(hint) if hint else None,
    )


def _read_age(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise WishRefused("invalid_request")
    return min(int(text), OLDEST)


def _read_subject(token: str) -> UserId:
    """Return the user that an ID token names.

    It is not verified: whoever makes one up only gets nothing for other users.
    """
    _, _, rest = token.partition(".")
    payload = rest.partition(".")[0]
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return UserId(str(claims["sub"]))
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        raise WishRefused("invalid_request") from None


def _one(parameters: Mapping[str, Sequence[str]], name: str) -> str:
    """Return the value of a parameter, which may be sent once (RFC 6749, 3.1)."""
    values = parameters.get(name, ())
    if len(values) > 1:
        raise WishRefused("invalid_request")
    return values[0] if values else ""
