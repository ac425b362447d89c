"""Refresh tokens: each is the successor of the one before, within one grant."""

from __future__ import annotations

from typing import Annotated

from db.statements import Connection, NeverNull, Row, RowCount, crossing, tenant
from pagemill.ids import AppClientId, GrantId, OrganizationId, UserId


class RefreshTokenRow(Row):
    """A refresh token with its grant. ``is_reused``: whoever presented it before has another one by now."""

    organization_id: OrganizationId
    grant_id: GrantId
    user_id: UserId
    app_client_id: AppClientId
    scope: str | None
    generation: int
    is_over: Annotated[bool, NeverNull("expires_time is never null")]
    is_reused: Annotated[bool, NeverNull("EXISTS, or coalesce")]
    user_is_active: Annotated[bool, NeverNull("EXISTS")]


@crossing(
    "the organization of a token is not known before it is found",
    """
    SELECT token_grant.id FROM token_grant
    WHERE token_grant.id = (
        SELECT refresh_token.grant_id FROM refresh_token WHERE refresh_token.token_hash = :token_hash
    )
    FOR UPDATE
    """,
)
async def lock_grant_of(connection: Connection, *, token_hash: str) -> GrantId | None:
    """Return the grant of a token; until the end of the transaction nobody else refreshes with it."""


@crossing(
    "the organization of a token is not known before it is found",
    """
    SELECT token_grant.organization_id, token_grant.id AS grant_id, token_grant.user_id,
        token_grant.app_client_id, token_grant.scope, refresh_token.generation,
        token_grant.ended_time IS NOT NULL OR refresh_token.expires_time <= now() AS is_over,
        EXISTS (
            SELECT FROM refresh_token AS later
            WHERE later.organization_id = token_grant.organization_id AND later.grant_id = token_grant.id
                AND later.generation > refresh_token.generation AND later.used_time IS NOT NULL
        ) OR (
            refresh_token.generation > 0
            AND coalesce(refresh_token.used_time < now() - make_interval(secs => :grace_seconds), false)
        ) AS is_reused,
        EXISTS (
            SELECT FROM organization_user
            WHERE organization_user.organization_id = token_grant.organization_id
                AND organization_user.id = token_grant.user_id AND organization_user.status = 'active'
        ) AS user_is_active
    FROM refresh_token JOIN token_grant ON token_grant.id = refresh_token.grant_id
    WHERE refresh_token.token_hash = :token_hash
    """,
)
async def find_refresh_token(
    connection: Connection, *, token_hash: str, grace_seconds: float
) -> RefreshTokenRow | None:
    """Return a refresh token, and whether it is reused.

    Presenting it again is no reuse while none that came after it was presented: for ``grace_seconds``, and
    for the first one of a grant without a limit, because there are clients that keep that one.
    """


@tenant("""
    INSERT INTO refresh_token (organization_id, token_hash, grant_id, generation, expires_time)
    SELECT token_grant.organization_id, :new_hash, token_grant.id, :generation, token_grant.expires_time
    FROM token_grant
    WHERE token_grant.organization_id = :organization_id AND token_grant.id = :grant_id
    ON CONFLICT (token_hash) DO NOTHING
""")
async def insert_refresh_token(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    new_hash: str,
    grant_id: GrantId,
    generation: int,
) -> RowCount:
    """Add a refresh token, which is valid as long as its grant; a successor may be there already."""


@tenant("""
    UPDATE refresh_token SET used_time = now()
    WHERE organization_id = :organization_id AND token_hash = :token_hash AND used_time IS NULL
""")
async def use_refresh_token(
    connection: Connection, *, organization_id: OrganizationId, token_hash: str
) -> RowCount:
    """Note that a token was used."""
