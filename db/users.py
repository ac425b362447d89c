"""Users: people's memberships in organizations, from the invitation on."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UnsetType

from db.statements import Connection, NeverNull, Row, columns, crossing, tenant
from pagemill.ids import AppClientId, OrganizationId, PrincipalId, ProfileId, RoleId, UserId

UserStatus: TypeAlias = Literal["inactive", "active", "invite_pending"]


class UserRow(Row):
    """A user; the profile is null until the first sign-in."""

    id: UserId
    profile_id: ProfileId | None
    status: Annotated[UserStatus, NeverNull("the column is not null")]
    metadata: dict[str, Any] | None
    role_ids: list[RoleId]
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class SigningUserRow(Row):
    """A user that a person can act as."""

    organization_id: OrganizationId
    user_id: UserId
    organization_name: str | None


# A user whose invitation has expired is inactive until the next one.
USER = columns(
    UserRow,
    status="""CASE
        WHEN status = 'invite_pending' AND invitation_expires <= now() THEN 'inactive' ELSE status
    END""",
)


@tenant(f"""
    INSERT INTO organization_user AS invited (
        organization_id, id, email, app_client_id, metadata, role_ids, status, invitation_expires, created_by
    )
    VALUES (
        :organization_id, :user_id, :email, :app_client_id, :metadata, :role_ids, 'invite_pending',
        now() + make_interval(days => :valid_days), :invited_by
    )
    ON CONFLICT (organization_id, email) DO UPDATE SET
        app_client_id = excluded.app_client_id, metadata = excluded.metadata, role_ids = excluded.role_ids,
        invitation_expires = excluded.invitation_expires, updated_time = now(), updated_by = :invited_by
    WHERE invited.status = 'invite_pending'
    RETURNING {USER}
""")
async def invite_user(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    user_id: UserId,
    email: str,
    app_client_id: AppClientId | None,
    metadata: Mapping[str, Any] | None,
    role_ids: Sequence[RoleId],
    valid_days: int,
    invited_by: PrincipalId,
) -> UserRow | None:
    """Add an invited user, or renew an invitation that was not accepted; then the user keeps its id.

    Returns None for the address of a user.
    """


@tenant(f"SELECT {USER} FROM organization_user WHERE organization_id = :organization_id AND id = :user_id")
async def get_user(
    connection: Connection, *, organization_id: OrganizationId, user_id: UserId
) -> UserRow | None:
    """Return a user."""


@tenant(f"""
    SELECT {USER} FROM organization_user
    WHERE organization_id = :organization_id
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_users(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[UserRow]:
    """Return a page of users, oldest first."""


@tenant(f"""
    UPDATE organization_user SET
        metadata = CASE WHEN :metadata_sent THEN :metadata ELSE metadata END,
        role_ids = coalesce(:role_ids::jsonb, role_ids),
        updated_time = now(),
        updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :user_id
    RETURNING {USER}
""")
async def update_user(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    user_id: UserId,
    metadata: dict[str, Any] | UnsetType | None,
    role_ids: Sequence[RoleId] | None,
    updated_by: PrincipalId,
) -> UserRow | None:
    """Change what is sent of a user."""


@tenant(f"""
    DELETE FROM organization_user WHERE organization_id = :organization_id AND id = :user_id
    RETURNING {USER}
""")
async def delete_user(
    connection: Connection, *, organization_id: OrganizationId, user_id: UserId
) -> UserRow | None:
    """Delete a user and return what it was."""


@tenant("""
    INSERT INTO organization_user (
        organization_id, id, email, profile_id, status, role_ids, created_by
    )
    VALUES (:organization_id, :user_id, :email, :profile_id, 'active', :role_ids, :created_by)
""")
async def insert_first_user(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    user_id: UserId,
    email: str,
    profile_id: ProfileId,
    role_ids: Sequence[RoleId],
    created_by: PrincipalId,
) -> None:
    """Add the active user that a new organization begins with."""


@crossing(
    "a person may be a user of several organizations",
    """
    SELECT organization_user.organization_id, organization_user.id AS user_id,
        organization.name AS organization_name
    FROM organization_user JOIN organization ON organization.id = organization_user.organization_id
    WHERE organization_user.profile_id = :profile_id AND organization_user.status = 'active'
        AND organization_user.organization_id
            = coalesce(:wanted_organization_id::text, organization_user.organization_id)
    ORDER BY organization_user.created_time, organization_user.id
    """,
)
async def list_signing_users(
    connection: Connection, *, profile_id: ProfileId, wanted_organization_id: OrganizationId | None
) -> list[SigningUserRow]:
    """Return the active users of a person, in one organization or in all of them."""
