"""Invitations: users of organizations whom their person has not accepted yet."""

from __future__ import annotations

from db.statements import Connection, Row, crossing
from pagemill.ids import OrganizationId, ProfileId, UserId

INVITED = "an address may be invited to several organizations"
OPEN = "status = 'invite_pending' AND invitation_expires > now()"


class InvitationRow(Row):
    """An invitation that has not expired."""

    organization_id: OrganizationId
    user_id: UserId
    organization_name: str | None


@crossing(
    INVITED,
    f"""
    SELECT invited.organization_id, invited.id AS user_id, organization.name AS organization_name
    FROM organization_user AS invited JOIN organization ON organization.id = invited.organization_id
    WHERE invited.email = :email AND {OPEN}
    ORDER BY invited.created_time, invited.id LIMIT :limit
    """,
)
async def list_invitations(connection: Connection, *, email: str, limit: int) -> list[InvitationRow]:
    """Return the open invitations of an address, oldest first."""


@crossing(
    INVITED,
    f"""
    UPDATE organization_user AS invited SET
        status = 'active', profile_id = :profile_id, invitation_expires = NULL, updated_time = now()
    FROM organization
    WHERE invited.id = :user_id AND invited.email = :email AND {OPEN}
        AND organization.id = invited.organization_id
    RETURNING invited.organization_id, invited.id AS user_id, organization.name AS organization_name
    """,
)
async def accept_invitation(
    connection: Connection, *, user_id: UserId, email: str, profile_id: ProfileId
) -> InvitationRow | None:
    """Make an invited user an active one, of the person with the address that was invited."""
