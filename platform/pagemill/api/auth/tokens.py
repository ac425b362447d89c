"""Access tokens: signed JSON Web Tokens with an app client or a user, and its organization."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

import jwt

from pagemill.errors import Forbidden
from pagemill.ids import OrganizationId, PrincipalId
from pagemill.settings import Settings, SettingsError

ALGORITHM = "HS256"
SHORTEST_KEY = 32
AUDIENCE = "pagemill"
TOKENS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. ``principal_id`` is an app client's or a user's, and is shown as createdBy.

    ``scopes`` are those of the token; None when it is not limited by scopes.
    """

    organization_id: OrganizationId
    principal_id: PrincipalId
    scopes: frozenset[str] | None = None


def is_user(caller: Caller) -> bool:
    """Return whether the caller is a user, not an app client."""
    return caller.principal_id.startswith("las:user:")


def check_token_key(settings: Settings) -> None:
    """Check that the key is long enough to sign tokens. Raises SettingsError."""
    if len(settings.token_key) < SHORTEST_KEY:
        raise SettingsError(f"PAGEMILL_TOKEN_KEY needs at least {SHORTEST_KEY} characters")


def issue_token(caller: Caller, settings: Settings) -> str:
    """Return a token that is valid for ``settings.token_lifetime`` seconds."""
    now = int(time.time())
    claims = {
        "sub": caller.principal_id,
        "organization": caller.organization_id,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + settings.token_lifetime,
    }
    if caller.scopes is not None:
        claims["scope"] = " ".join(sorted(caller.scopes))
    return jwt.encode(claims, settings.token_key, algorithm=ALGORITHM)


def read_token(token: str, settings: Settings) -> Caller:
    """Return the caller of a token. Raises Forbidden when it is forged, expired or no token."""
    try:
        caller, expires = _verified(token, settings.token_key)
    except jwt.InvalidTokenError:
        raise Forbidden from None
    if expires <= time.time():
        raise Forbidden
    return caller


@functools.lru_cache(maxsize=TOKENS_KEPT)
def _verified(token: str, key: str) -> tuple[Caller, float]:
    """Return the caller, and when the token expires.

    Cached, because clients send the same token for an hour. Only valid tokens are cached, and the guard asks
    the database each time whether the caller still exists.
    """
    claims = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        options={"require": ["exp", "sub", "organization"]},
    )
    scope = claims.get("scope")
    caller = Caller(
        organization_id=OrganizationId(str(claims["organization"])),
        principal_id=PrincipalId(str(claims["sub"])),
        scopes=None if scope is None else frozenset(str(scope).split()),
    )
    return caller, claims["exp"]
