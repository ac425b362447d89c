"""Grants: authorization codes, the grants that they become, and refresh tokens.

A refresh token is exchanged for its successor, which is computed from it: a client that sends one twice, or
whose calls send it at the same time, gets the same successor again. After a moment, and in any case once the
successor was presented, presenting its predecessor ends the grant: one of the two was stolen. The first token
of a grant has no such moment, because the official browser SDK never goes on to another.
"""

from __future__ import annotations

import base64
import hmac
import secrets

import msgspec
from authlib.common.urls import add_params_to_uri
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from db import authorization_codes, refresh_tokens, token_grants
from db.authorization_codes import AuthorizationCodeRow
from db.refresh_tokens import RefreshTokenRow
from db.statements import Connection
from db.users import SigningUserRow as SigningUser
from pagemill.client_credentials import hash_secret
from pagemill.ids import AppClientId, GrantId, OrganizationId, UserId, new_id

TOKEN_BYTES = 32
CODE_SECONDS = 60.0
"""RFC 6749, 4.1.2, allows ten minutes; a browser that is redirected needs a moment."""

GRACE_SECONDS = 10.0
"""Time in which a client may present a refresh token again: its calls go side by side, answers get lost."""

CODE_REUSED = "an authorization code was used twice"
REFRESH_TOKEN_REUSED = "a refresh token was used again"  # noqa: S105 - a reason


class AuthorizationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an app client has asked of ``/oauth2/authorize``, once that was checked.

    ``organization_id`` is that of the app client; ``spans_organizations``: others may be chosen as well.
    """

    organization_id: OrganizationId
    app_client_id: AppClientId
    app_client_name: str | None
    spans_organizations: bool
    redirect_uri: str
    code_challenge: str
    scope: str | None = None
    state: str | None = None
    nonce: str | None = None
    login_hint: str | None = None
    """The address that the app thinks will sign in."""
    wanted_user: UserId | None = None
    """The only user that the app wants."""
    stale_session: str | None = None
    """The mark of the session in which the person has to sign in again."""

    def redirect(self, **parameters: str) -> str:
        """Return the app client's URL with parameters, and with the state that it sent."""
        sent = {**parameters, **({} if self.state is None else {"state": self.state})}
        return str(add_params_to_uri(self.redirect_uri, list(sent.items())))


async def issue_code(
    connection: Connection,
    request: AuthorizationRequest,
    user: SigningUser,
    *,
    session_id_hash: str | None,
) -> str:
    """Return the URL of the app client with a code that it can exchange, once, for tokens of the user."""
    code = secrets.token_urlsafe(TOKEN_BYTES)
    await authorization_codes.insert_authorization_code(
        connection,
        organization_id=user.organization_id,
        new_hash=hash_secret(code),
        app_client_id=request.app_client_id,
        user_id=user.user_id,
        session_id_hash=session_id_hash,
        redirect_uri=request.redirect_uri,
        code_challenge=request.code_challenge,
        scope=request.scope,
        nonce=request.nonce,
        seconds=CODE_SECONDS,
    )
    return request.redirect(code=code)


async def find_code(connection: Connection, code: str) -> AuthorizationCodeRow | None:
    """Return a code; until the end of the transaction nobody else exchanges it, and its session goes on."""
    code_hash = hash_secret(code)
    # Who ends the session meanwhile waits, and then also ends the grant that the code becomes.
    await authorization_codes.keep_session_of_code(connection, code_hash=code_hash)
    return await authorization_codes.lock_authorization_code(connection, code_hash=code_hash)


async def exchange_code(
    connection: Connection, code: AuthorizationCodeRow, *, grant_id: GrantId, seconds: float
) -> str:
    """Make a code a grant, and return its first refresh token. The grant ends after ``seconds``."""
    await authorization_codes.use_authorization_code(
        connection, organization_id=code.organization_id, code_hash=code.code_hash, grant_id=grant_id
    )
    await token_grants.insert_token_grant(
        connection,
        organization_id=code.organization_id,
        grant_id=grant_id,
        user_id=code.user_id,
        app_client_id=code.app_client_id,
        session_id_hash=code.session_id_hash,
        scope=code.scope,
        seconds=seconds,
    )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await refresh_tokens.insert_refresh_token(
        connection,
        organization_id=code.organization_id,
        new_hash=hash_secret(token),
        grant_id=grant_id,
        generation=0,
    )
    return token


def new_grant_id() -> GrantId:
    """Return the id of a new grant."""
    return new_id(GrantId)


class RefreshTokens:
    """Refresh tokens, each computed from its predecessor with a key that the database does not hold."""

    def __init__(self, token_key: str) -> None:
        self._key = HKDF(SHA256(), length=32, salt=None, info=b"refresh tokens").derive(token_key.encode())

    def successor_of(self, token: str) -> str:
        """Return the refresh token that comes after another."""
        digest = hmac.digest(self._key, token.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def find(self, connection: Connection, token: str) -> RefreshTokenRow | None:
        """Return a refresh token; until the end of the transaction nobody else refreshes its grant."""
        token_hash = hash_secret(token)
        if await refresh_tokens.lock_grant_of(connection, token_hash=token_hash) is None:
            return None
        # A statement of its own, which sees what was committed while this one waited.
        return await refresh_tokens.find_refresh_token(
            connection,
            token_hash=token_hash,
            grace_seconds=GRACE_SECONDS,
        )

    async def exchange(self, connection: Connection, token: str, row: RefreshTokenRow) -> str:
        """Return the successor of a refresh token, the same one each time."""
        successor = self.successor_of(token)
        await refresh_tokens.use_refresh_token(
            connection, organization_id=row.organization_id, token_hash=hash_secret(token)
        )
        await refresh_tokens.insert_refresh_token(
            connection,
            organization_id=row.organization_id,
            new_hash=hash_secret(successor),
            grant_id=row.grant_id,
            generation=row.generation + 1,
        )
        return successor


async def end_grant(
    connection: Connection, *, organization_id: OrganizationId, grant_id: GrantId, reason: str
) -> None:
    """End a grant: its tokens are refused from the next request on."""
    await token_grants.end_token_grant(
        connection, organization_id=organization_id, grant_id=grant_id, reason=reason
    )
