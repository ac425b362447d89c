"""Access tokens for tests of something else; tests of signing in use ``front_door``."""

from __future__ import annotations

import time

from joserfc import jwt
from joserfc.jwk import OctKey
from litestar import Litestar

from db.statements import Connection
from db.token_grants import insert_token_grant
from pagemill.api.auth.tokens import AUDIENCE, Caller
from pagemill.api.http.app_state import AppState
from pagemill.ids import AppClientId, GrantId, OrganizationId, PrincipalId, UserId
from pagemill.people.grants import new_grant_id
from pagemill.settings import Settings


async def token_of(app: Litestar, organization_id: str, principal_id: str) -> str:
    """A token as the running application issues it; a user gets a grant first, as by signing in."""
    state: AppState = app.state.pagemill
    caller = Caller(OrganizationId(organization_id), PrincipalId(principal_id))
    if principal_id.startswith("las:user:"):
        async with state.connection() as connection:
            grant_id = await add_grant(connection, caller.organization_id, UserId(principal_id))
        caller = Caller(caller.organization_id, caller.principal_id, grant_id=grant_id)
    return await state.tokens.issue(caller)


async def add_grant(connection: Connection, organization_id: OrganizationId, user_id: UserId) -> GrantId:
    """What a user has granted some app client, in no session."""
    app_client_id = AppClientId(
        await connection.fetchval(
            "SELECT id FROM app_client ORDER BY (organization_id = $1) DESC, created_time LIMIT 1",
            organization_id,
        )
    )
    grant_id = new_grant_id()
    await insert_token_grant(
        connection,
        organization_id=organization_id,
        grant_id=grant_id,
        user_id=user_id,
        app_client_id=app_client_id,
        session_id_hash=None,
        scope=None,
        seconds=3600.0,
    )
    return grant_id


def former_token(caller: Caller, settings: Settings) -> str:
    """A token as the former release issued it, of an app client; it is read without any key in the
    database."""
    now = int(time.time())
    claims = {
        "sub": caller.principal_id,
        "organization": caller.organization_id,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + settings.token_lifetime,
    }
    key = OctKey.import_key(settings.token_key)
    return jwt.encode({"alg": "HS256"}, claims, key, algorithms=["HS256"])
