"""Authorization codes, which app clients exchange for tokens."""

from __future__ import annotations

import datetime
from typing import Annotated

from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from pagemill.ids import AppClientId, GrantId, OrganizationId, UserId


class AuthorizationCodeRow(Row):
    """An authorization code; ``grant_id`` is what it was exchanged for, null while it was not."""

    code_hash: str
    organization_id: OrganizationId
    app_client_id: AppClientId
    user_id: UserId
    session_id_hash: str | None
    redirect_uri: str
    code_challenge: str
    scope: str | None
    nonce: str | None
    grant_id: GrantId | None
    is_expired: Annotated[bool, NeverNull("expires_time is never null")]
    session_is_over: Annotated[bool, NeverNull("EXISTS")]
    user_is_active: Annotated[bool, NeverNull("EXISTS")]
    signed_in_time: datetime.datetime | None


@tenant("""
    WITH forgotten AS (
        DELETE FROM authorization_code
        WHERE organization_id = :organization_id AND user_id = :user_id
            AND expires_time < now() - interval '1 hour'
    )
    INSERT INTO authorization_code (
        organization_id, code_hash, app_client_id, user_id, session_id_hash, redirect_uri, code_challenge,
        scope, nonce, expires_time
    )
    VALUES (
        :organization_id, :new_hash, :app_client_id, :user_id, :session_id_hash, :redirect_uri,
        :code_challenge, :scope, :nonce, now() + make_interval(secs => :seconds)
    )
""")
async def insert_authorization_code(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    new_hash: str,
    app_client_id: AppClientId,
    user_id: UserId,
    session_id_hash: str | None,
    redirect_uri: str,
    code_challenge: str,
    scope: str | None,
    nonce: str | None,
    seconds: float,
) -> None:
    """Add a code, and forget those of the user that expired an hour ago."""


CODE = columns(
    AuthorizationCodeRow,
    is_expired="expires_time <= now()",
    session_is_over="""session_id_hash IS NOT NULL AND NOT EXISTS (
        SELECT FROM sign_in_session
        WHERE sign_in_session.id_hash = authorization_code.session_id_hash
            AND sign_in_session.ended_time IS NULL AND sign_in_session.expires_time > now()
    )""",
    user_is_active="""EXISTS (
        SELECT FROM organization_user
        WHERE organization_user.organization_id = authorization_code.organization_id
            AND organization_user.id = authorization_code.user_id AND organization_user.status = 'active'
    )""",
    signed_in_time="""(
        SELECT sign_in_session.created_time FROM sign_in_session
        WHERE sign_in_session.id_hash = authorization_code.session_id_hash
    )""",
)


@crossing(
    "the organization of a code is not known before it is found",
    """
    SELECT sign_in_session.id_hash FROM sign_in_session
    WHERE sign_in_session.id_hash = (
        SELECT authorization_code.session_id_hash FROM authorization_code
        WHERE authorization_code.code_hash = :code_hash
    )
    FOR SHARE
    """,
)
async def keep_session_of_code(connection: Connection, *, code_hash: str) -> str | None:
    """Return the session of a code; until the end of the transaction nobody ends it."""


@crossing(
    "the organization of a code is not known before it is found",
    f"SELECT {CODE} FROM authorization_code WHERE code_hash = :code_hash FOR UPDATE",
)
async def lock_authorization_code(connection: Connection, *, code_hash: str) -> AuthorizationCodeRow | None:
    """Return a code; until the end of the transaction nobody else exchanges it."""


@tenant("""
    UPDATE authorization_code SET used_time = now(), grant_id = :grant_id
    WHERE organization_id = :organization_id AND code_hash = :code_hash
""")
async def use_authorization_code(
    connection: Connection, *, organization_id: OrganizationId, code_hash: str, grant_id: GrantId
) -> RowCount:
    """Note what a code was exchanged for."""
