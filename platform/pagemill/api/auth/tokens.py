"""Access tokens: signed JSON Web Tokens that name an app client or a user, and its organization."""

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
    """Who sends a request: ``principal_id``, an app client's or user's, stands in createdBy and updatedBy.

    ``scopes`` is what the token is limited to; None when it may do all that its principal may.
    """

    organization_id: OrganizationId
    principal_id: PrincipalId
    scopes: frozenset[str] | None = None


def is_user(caller: Caller) -> bool:
    """Whether a person calls, not an app client."""
    return caller.principal_id.startswith("las:user:")


def check_token_key(settings: Settings) -> None:
    """Raises SettingsError when tokens signed with this key could be forged."""
    if len(settings.token_key) < SHORTEST_KEY:
        raise SettingsError(f"PAGEMILL_TOKEN_KEY needs at least {SHORTEST_KEY} characters")


def issue_token(caller: Caller, settings: Settings) -> str:
    """A token for ``settings.token_lifetime`` seconds."""
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
    """The caller that a token names. Raises Forbidden for one that is forged, expired or no token."""
    try:
        caller, expires = _verified(token, settings.token_key)
    except jwt.InvalidTokenError:
        raise Forbidden from None
    if expires <= time.time():
        raise Forbidden
    return caller


@functools.lru_cache(maxsize=TOKENS_KEPT)
def _verified(token: str, key: str) -> tuple[Caller, float]:
    """The caller, and when the token expires. Clients send the same token for an hour: it is verified once.

    Only good ones are kept. Whether the caller still exists is asked of the database each time.
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
