"""Accounts: profiles of people, and the organizations that they are users of or invited to."""

from __future__ import annotations

from typing import Final

import msgspec

from db import invitations
from db.invitations import InvitationRow
from db.one_time_codes import end_codes
from db.passwords import set_password_hash
from db.profiles import PersonRow, ensure_profile, find_person, find_profile_id
from db.statements import Connection
from db.users import SigningUserRow, list_signing_users
from pagemill.ids import OrganizationId, ProfileId, UserId, new_id
from pagemill.people.sessions import Session, end_everything_of

MOST_INVITATIONS: Final = 100
LONGEST_NAME: Final = 200

__all__ = ["PersonRow", "find_person", "find_profile_id"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """An organization that a person can act in; as an invited user only once the invitation is accepted."""

    organization_id: OrganizationId
    user_id: UserId
    name: str
    invited: bool


async def list_choices(
    connection: Connection, person: PersonRow, *, only: OrganizationId | None = None
) -> list[Choice]:
    """Return the organizations of a person, those that have invited it last; or one of them."""
    users = await list_signing_users(connection, profile_id=person.id, wanted_organization_id=only)
    invited = await invitations.list_invitations(connection, email=person.email, limit=MOST_INVITATIONS)
    return [
        *(_choice(row, invited=False) for row in users),
        *(_choice(row, invited=True) for row in invited if only in (None, row.organization_id)),
    ]


def _choice(row: SigningUserRow | InvitationRow, *, invited: bool) -> Choice:
    return Choice(
        organization_id=row.organization_id,
        user_id=row.user_id,
        name=row.organization_name or row.organization_id,
        invited=invited,
    )


async def can_accept(
    connection: Connection, profile_id: ProfileId, *, only: OrganizationId | None = None
) -> bool:
    """Return whether an organization, or one in particular, has invited a person."""
    person = await find_person(connection, profile_id=profile_id)
    if person is None:
        return False
    return any(choice.invited for choice in await list_choices(connection, person, only=only))


async def is_invited(connection: Connection, email: str) -> bool:
    """Return whether an organization has invited an address."""
    return bool(await invitations.list_invitations(connection, email=email, limit=1))


async def accept_invitation(connection: Connection, person: PersonRow, user_id: UserId) -> bool:
    """Make an invited user of a person an active one; return whether there is such an invitation."""
    accepted = await invitations.accept_invitation(
        connection, user_id=user_id, email=person.email, profile_id=person.id
    )
    return accepted is not None


async def keep_person(
    connection: Connection, email: str, *, given_name: str | None = None, family_name: str | None = None
) -> ProfileId:
    """Return the profile of somebody who has proved an address; make it at the first time."""
    return await ensure_profile(
        connection,
        profile_id=new_id(ProfileId),
        email=email,
        given_name=given_name,
        family_name=family_name,
    )


async def change_password(
    connection: Connection, person: PersonRow, password_hash: str, *, reason: str, but: Session | None = None
) -> None:
    """Give a person another password: all sessions and tokens end, but for those of one session."""
    await set_password_hash(connection, profile_id=person.id, hash=password_hash)
    await end_codes(connection, email=person.email, purpose="recover")
    await end_everything_of(connection, person.id, reason=reason, but=but)
