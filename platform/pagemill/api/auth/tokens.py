"""Access tokens: signed JSON Web Tokens with an app client or a user, and its organization.

They are signed with ES256 by keys that rotate. Those of the former release are signed with HS256 by
``PAGEMILL_TOKEN_KEY``; they are read until they expire, and never issued.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, GuestProtocol, OctKey
from joserfc.jwt import JWTClaimsRegistry, Token

from pagemill.api.auth.signing_keys import SigningKey, SigningKeys
from pagemill.errors import Forbidden
from pagemill.housekeeping.signing_keys import ALGORITHM
from pagemill.ids import GrantId, OrganizationId, PrincipalId
from pagemill.settings import Settings, SettingsError

FORMER_ALGORITHM = "HS256"
SHORTEST_KEY = 32
AUDIENCE = "pagemill"
TYPE = "at+jwt"
"""RFC 9068: other tokens that these keys sign are no access tokens."""
TOKENS_KEPT = 4096
CLOCK_SECONDS = 30
"""By so much the clocks of two API machines may differ."""

UNREADABLE = (JoseError, ValueError, TypeError, KeyError, RecursionError)
"""Errors of the library for no token, or one that is not good."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. ``principal_id`` is an app client's or a user's, and is shown as createdBy.

    ``scopes`` are those of the token; None when it is not limited by scopes. A user has a grant, which can
    end; an app client has an epoch, which a new secret ends.
    """

    organization_id: OrganizationId
    principal_id: PrincipalId
    scopes: frozenset[str] | None = None
    grant_id: GrantId | None = None
    epoch: int = 0


def is_user(caller: Caller) -> bool:
    """Return whether the caller is a user, not an app client."""
    return caller.principal_id.startswith("las:user:")


def check_token_key(settings: Settings) -> None:
    """Check that the key is long enough. Raises SettingsError."""
    if len(settings.token_key) < SHORTEST_KEY:
        raise SettingsError(f"PAGEMILL_TOKEN_KEY needs at least {SHORTEST_KEY} characters")


def sign_token(caller: Caller, signing: SigningKey, settings: Settings) -> str:
    """Return a token that is valid for ``settings.token_lifetime`` seconds."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": settings.public_url,
        "aud": AUDIENCE,
        "sub": caller.principal_id,
        "organization": caller.organization_id,
        "iat": now,
        "exp": now + settings.token_lifetime,
        "jti": secrets.token_hex(16),
    }
    if caller.scopes is not None:
        claims["scope"] = " ".join(sorted(caller.scopes))
    if caller.grant_id is not None:
        claims["sid"] = caller.grant_id
    if caller.epoch:
        claims["epoch"] = caller.epoch
    return encode(claims, signing, token_type=TYPE)


def encode(claims: dict[str, Any], signing: SigningKey, *, token_type: str) -> str:
    """Return signed claims as a token of a type."""
    header = {"alg": ALGORITHM, "kid": signing.kid, "typ": token_type}
    return jwt.encode(header, claims, signing.key, algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token whose signature was good. ``kid`` is null for one of the former release."""

    caller: Caller
    expires: float
    kid: str | None


class _KeyUnknown(Exception):
    """A token names a key that this process does not know."""

    def __init__(self, kid: str) -> None:
        super().__init__(kid)
        self.kid = kid


class AccessTokens:
    """Access tokens of this installation, and a memory of those that were good.

    Clients send the same token for an hour. Only valid tokens are remembered, and the guard asks the database
    each time whether the caller still exists.
    """

    def __init__(self, keys: SigningKeys, settings: Settings) -> None:
        self.keys = keys
        self._settings = settings
        self._former_key = OctKey.import_key(settings.token_key) if settings.token_key else None
        self._kept: OrderedDict[str, _Verified] = OrderedDict()

    async def issue(self, caller: Caller) -> str:
        """Return a token of a caller."""
        return sign_token(caller, await self.keys.signing_key(), self._settings)

    async def read(self, token: str) -> Caller:
        """Return the caller of a token. Raises Forbidden when it is forged, expired or no token."""
        verified = self._kept.get(token)
        if verified is None:
            verified = await self._verify(token)
            self._keep(token, verified)
        else:
            self._kept.move_to_end(token)
            # Also notices keys that were deleted.
            await self.keys.refresh()
            if verified.kid is not None and self.keys.known(verified.kid) is None:
                raise Forbidden
        if verified.expires <= time.time():
            raise Forbidden
        return verified.caller

    def _keep(self, token: str, verified: _Verified) -> None:
        self._kept[token] = verified
        if len(self._kept) > TOKENS_KEPT:
            self._kept.popitem(last=False)

    async def _verify(self, token: str) -> _Verified:
        try:
            return self._verified(await self.decode(token, token_type=TYPE, audience=AUDIENCE))
        except UnsupportedAlgorithmError:
            return self._verify_former(token)
        except UNREADABLE:
            raise Forbidden from None

    async def decode(self, token: str, *, token_type: str, audience: str) -> Token:
        """Return a token of a type that this installation has signed. Raises one of ``UNREADABLE``."""
        try:
            decoded = self._decode(token)
        except _KeyUnknown as unknown:
            if await self.keys.look_for(unknown.kid) is None:
                raise ValueError("no such key") from None
            decoded = self._decode(token)
        if decoded.header.get("typ") != token_type:
            raise ValueError("a token of another type")
        registry = JWTClaimsRegistry(
            leeway=CLOCK_SECONDS,
            iss={"essential": True, "value": self._settings.public_url},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        registry.validate(decoded.claims)
        return decoded

    def _decode(self, token: str) -> Token:
        return jwt.decode(token, self._key_of, algorithms=[ALGORITHM])

    def _key_of(self, signed: GuestProtocol) -> ECKey:
        """Return the key that a token names. Raises _KeyUnknown."""
        kid = signed.headers().get("kid")
        if not isinstance(kid, str):
            raise ValueError("a token names its key")
        key = self.keys.known(kid)
        if key is None:
            raise _KeyUnknown(kid)
        return key

    def _verify_former(self, token: str) -> _Verified:
        """Return what a token of the former release says; users had none. Raises Forbidden."""
        if self._former_key is None:
            raise Forbidden
        try:
            decoded = jwt.decode(token, self._former_key, algorithms=[FORMER_ALGORITHM])
            registry = JWTClaimsRegistry(
                leeway=CLOCK_SECONDS, aud={"essential": True, "value": AUDIENCE}, exp={"essential": True}
            )
            registry.validate(decoded.claims)
            verified = self._verified(decoded)
        except UNREADABLE:
            raise Forbidden from None
        if verified.caller.grant_id is not None or verified.caller.epoch:
            raise Forbidden
        return verified

    def _verified(self, decoded: Token) -> _Verified:
        claims: Mapping[str, Any] = decoded.claims
        scope, grant_id, epoch = claims.get("scope"), claims.get("sid"), claims.get("epoch", 0)
        if not isinstance(epoch, int):
            raise TypeError("epoch is a number")
        caller = Caller(
            organization_id=OrganizationId(str(claims["organization"])),
            principal_id=PrincipalId(str(claims["sub"])),
            scopes=None if scope is None else frozenset(str(scope).split()),
            grant_id=None if grant_id is None else GrantId(str(grant_id)),
            epoch=epoch,
        )
        return _Verified(caller, float(claims["exp"]), decoded.header.get("kid"))
