"""ID tokens of providers: which ones are believed (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
)
"""Signatures by a key of the provider's own. None of what a client secret or nobody signs."""
CLOCK_SECONDS: Final = 60
"""By so much the clock of the provider may differ."""
LONGEST: Final = 32 * 1024
UNREADABLE: Final = (JoseError, ValueError, TypeError, KeyError, RecursionError)
"""Errors of the library for no token, or one that is not good."""


class TokenRefused(Exception):
    """The ID token is not one that may be believed; the message says why, for the log."""


def algorithms_of(metadata: Mapping[str, Any]) -> list[str]:
    """Return the algorithms that a provider says it signs with, of those that are believed."""
    said = metadata.get("id_token_signing_alg_values_supported")
    return sorted(ALGORITHMS & {str(one) for one in said}) if isinstance(said, list) else ["RS256"]


def read_id_token(
    token: str, keys: KeySet, *, issuer: str, client_id: str, nonce: str, algorithms: list[str]
) -> dict[str, Any]:
    """Return the claims of a provider's ID token. Raises TokenRefused."""
    if len(token) > LONGEST:
        raise TokenRefused("it is too long")
    registry = JWTClaimsRegistry(
        leeway=CLOCK_SECONDS,
        iss={"essential": True, "value": issuer},
        sub={"essential": True},
        aud={"essential": True, "value": client_id},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True},
    )
    try:
        claims = jwt.decode(token, keys, algorithms=algorithms).claims
        registry.validate(claims)
    except UNREADABLE as error:
        raise TokenRefused(f"{type(error).__name__}: {error}") from error
    # The library would also take a list with the nonce in it.
    if claims["nonce"] != nonce:
        raise TokenRefused("it was made for another sign-in")
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims.get("azp", client_id if len(audiences) == 1 else None) != client_id:
        raise TokenRefused("it was made for another client")
    return claims
