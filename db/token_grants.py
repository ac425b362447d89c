"""Grants of users to app clients, made by signing in. A grant ends for ever, and its tokens with it."""

from __future__ import annotations

from db.statements import Connection, RowCount, crossing, tenant
from pagemill.ids import AppClientId, GrantId, OrganizationId, ProfileId, UserId


@tenant("""
    WITH forgotten AS (
        DELETE FROM token_grant
        WHERE organization_id = :organization_id AND user_id = :user_id
            AND least(ended_time, expires_time) < now() - interval '1 day'
    )
    INSERT INTO token_grant (
        organization_id, id, user_id, app_client_id, session_id_hash, scope, expires_time
    )
    VALUES (
        :organization_id, :grant_id, :user_id, :app_client_id, :session_id_hash, :scope,
        now() + make_interval(secs => :seconds)
    )
""")
async def insert_token_grant(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    grant_id: GrantId,
    user_id: UserId,
    app_client_id: AppClientId,
    session_id_hash: str | None,
    scope: str | None,
    seconds: float,
) -> None:
    """Add a grant, and forget those of the user that have been over for a day."""


@tenant("""
    UPDATE token_grant SET ended_time = now(), reason = :reason
    WHERE organization_id = :organization_id AND id = :grant_id AND ended_time IS NULL
""")
async def end_token_grant(
    connection: Connection, *, organization_id: OrganizationId, grant_id: GrantId, reason: str
) -> RowCount:
    """End a grant: its tokens are refused from now on."""


@crossing(
    "a session is a person's, who may be a user of several organizations",
    """
    UPDATE token_grant SET ended_time = now(), reason = :reason
    WHERE session_id_hash = :session_id_hash AND ended_time IS NULL
    """,
)
async def end_grants_of_session(connection: Connection, *, session_id_hash: str, reason: str) -> RowCount:
    """End what was granted in a session."""


@crossing(
    "a session is a person's, who may be a user of several organizations",
    """
    UPDATE token_grant SET session_id_hash = :session_id_hash
    WHERE session_id_hash = :former_id_hash AND ended_time IS NULL
    """,
)
async def move_grants_of_session(
    connection: Connection, *, former_id_hash: str, session_id_hash: str
) -> RowCount:
    """Have what was granted in a session go on in the one after it."""


@crossing(
    "a person may be a user of several organizations",
    """
    UPDATE token_grant SET ended_time = now(), reason = :reason
    FROM organization_user
    WHERE organization_user.profile_id = :profile_id
        AND token_grant.organization_id = organization_user.organization_id
        AND token_grant.user_id = organization_user.id
        AND token_grant.ended_time IS NULL
        AND token_grant.session_id_hash IS DISTINCT FROM :but::text
    """,
)
async def end_grants_of(
    connection: Connection, *, profile_id: ProfileId, but: str | None, reason: str
) -> RowCount:
    """End all grants of a person, but for those of one session; one without a session ends always."""
