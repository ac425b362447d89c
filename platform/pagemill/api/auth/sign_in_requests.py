"""Authorization requests on their way through the pages on which people sign in.

A page gets the request as a signed text in its URL. So it shows and continues only what was checked, and
nothing has to be stored for browsers that come and never sign in.
"""

from __future__ import annotations

import time

import msgspec

from pagemill.api.auth.tokens import UNREADABLE, AccessTokens, encode
from pagemill.errors import BadRequest
from pagemill.people.grants import AuthorizationRequest
from pagemill.settings import Settings

AUDIENCE = "sign-in"
TYPE = "authorization-request+jwt"
SECONDS = 3600
"""Time in which a person has to sign in."""


async def seal_request(tokens: AccessTokens, asked: AuthorizationRequest, settings: Settings) -> str:
    """Return a text that ``open_request`` reads."""
    now = int(time.time())
    claims = {
        "iss": settings.public_url,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + SECONDS,
        "request": msgspec.to_builtins(asked),
    }
    return encode(claims, await tokens.keys.signing_key(), token_type=TYPE)


async def open_request(tokens: AccessTokens, text: str) -> AuthorizationRequest:
    """Return a sealed request. Raises BadRequest when it was changed, or is too old."""
    try:
        decoded = await tokens.decode(text, token_type=TYPE, audience=AUDIENCE)
        return msgspec.convert(decoded.claims["request"], AuthorizationRequest)
    except (*UNREADABLE, msgspec.ValidationError):
        raise BadRequest(
            "This sign-in has taken too long, or its address is not whole: start again"
        ) from None
