"""REST resource ``/profiles``: profiles of people."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, get, patch
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from db import profiles as statements
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.requested_resources import OWN
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.schemas import (
    Metadata,
    RequestStruct,
    ResponseStruct,
    Text,
    checked_metadata,
    require_members,
    timestamp,
)
from pagemill.errors import Forbidden, NotFound
from pagemill.ids import ProfileId

ProfilePath = Annotated[ProfileId, Parameter(description="las:profile:<32 hexadecimal digits>, or me")]


class PatchProfile(RequestStruct):
    """Changes of a profile; null clears a member."""

    given_name: Text | UnsetType | None = UNSET
    family_name: Text | UnsetType | None = UNSET
    locale: Text | UnsetType | None = UNSET
    picture: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET


class Profile(ResponseStruct):
    """A profile; the members that may be UNSET are shown to the person only."""

    profile_id: ProfileId
    given_name: str | None
    family_name: str | None
    picture: str | None
    name: str | UnsetType | None = UNSET
    email: str | UnsetType = UNSET
    locale: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    number_of_organizations_allowed: int | UnsetType = UNSET
    number_of_organizations_created: int | UnsetType = UNSET
    created_time: str | UnsetType | None = UNSET
    updated_time: str | UnsetType | None = UNSET


def to_public_profile(row: statements.PublicProfileRow) -> Profile:
    """Return a profile as other users of the person's organizations see it."""
    return Profile(
        profile_id=row.id,
        given_name=row.given_name,
        family_name=row.family_name,
        picture=row.picture,
    )


def to_own_profile(row: statements.ProfileRow) -> Profile:
    """Return a profile as the person itself sees it."""
    return Profile(
        profile_id=row.id,
        given_name=row.given_name,
        family_name=row.family_name,
        picture=row.picture,
        name=row.name,
        email=row.email,
        locale=row.locale,
        metadata=row.metadata,
        number_of_organizations_allowed=row.number_of_organizations_allowed,
        number_of_organizations_created=row.number_of_organizations_created,
        created_time=timestamp(row.created_time),
        updated_time=timestamp(row.updated_time),
    )


def profile_not_found(profile_id: ProfileId) -> NotFound:
    """Return the error for a profile that the caller cannot see."""
    return NotFound(f"Profile {profile_id} not found")


class ProfileController(Controller):
    """Operations on profiles."""

    path = "/profiles"
    tags = ("Profiles",)

    @get("/{profile_id:str}")
    async def get_profile(
        self, profile_id: ProfilePath, caller: Caller, connection: RequestConnection
    ) -> Profile:
        """Get the profile of a person.

        `me` stands for the profile of the user who calls, with all members. Of other users of the
        organization only the names and the picture are shown. An app client has no profile (404).
        """
        own = await statements.get_own_profile(
            connection, organization_id=caller.organization_id, user_id=caller.principal_id
        )
        if own is not None and profile_id in (OWN, own.id):
            return to_own_profile(own)
        row = await statements.get_public_profile(
            connection, organization_id=caller.organization_id, profile_id=profile_id
        )
        if row is None:
            raise profile_not_found(profile_id)
        return to_public_profile(row)

    @patch("/{profile_id:str}")
    async def update_profile(
        self, profile_id: ProfilePath, data: PatchProfile, caller: Caller, connection: RequestConnection
    ) -> Profile:
        """Update the profile of the user who calls.

        Members that are not sent keep their value; null clears a member. The profile of another person
        cannot be changed (403).
        """
        if profile_id != OWN:
            own = await statements.get_own_profile(
                connection, organization_id=caller.organization_id, user_id=caller.principal_id
            )
            if own is None or own.id != profile_id:
                raise Forbidden
        require_members(data)
        row = await statements.update_own_profile(
            connection,
            organization_id=caller.organization_id,
            user_id=caller.principal_id,
            given_name=data.given_name,
            family_name=data.family_name,
            locale=data.locale,
            picture=data.picture,
            metadata=checked_metadata(data.metadata),
        )
        if row is None:
            raise profile_not_found(profile_id)
        return to_own_profile(row)
