"""Profiles of people: ``/profiles``."""

from __future__ import annotations

from typing import Any

import asyncpg
from litestar import Controller, get, patch
from msgspec import UNSET, UnsetType

from db.profiles import GET_OWN_PROFILE, GET_PUBLIC_PROFILE, UPDATE_OWN_PROFILE
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.resource_ids import OWN
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.schemas import (
    Metadata,
    RequestStruct,
    ResponseStruct,
    Text,
    change,
    checked_metadata,
    require_members,
    timestamp,
)
from pagemill.errors import Forbidden, NotFound


class PatchProfile(RequestStruct):
    """null clears a member."""

    given_name: Text | UnsetType | None = UNSET
    family_name: Text | UnsetType | None = UNSET
    locale: Text | UnsetType | None = UNSET
    picture: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET


class Profile(ResponseStruct):
    """What is UNSET is for the person's own eyes."""

    profile_id: str
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


def public_view(row: asyncpg.Record) -> Profile:
    return Profile(
        profile_id=row["id"],
        given_name=row["given_name"],
        family_name=row["family_name"],
        picture=row["picture"],
    )


def private_view(row: asyncpg.Record) -> Profile:
    return Profile(
        profile_id=row["id"],
        given_name=row["given_name"],
        family_name=row["family_name"],
        picture=row["picture"],
        name=row["name"],
        email=row["email"],
        locale=row["locale"],
        metadata=row["metadata"],
        number_of_organizations_allowed=row["number_of_organizations_allowed"],
        number_of_organizations_created=row["number_of_organizations_created"],
        created_time=timestamp(row["created_time"]),
        updated_time=timestamp(row["updated_time"]),
    )


def profile_not_found(profile_id: str) -> NotFound:
    return NotFound(f"Profile {profile_id} not found")


class ProfileController(Controller):
    path = "/profiles"
    tags = ("Profiles",)

    @get("/{profile_id:str}")
    async def get_profile(self, profile_id: str, caller: Caller, connection: RequestConnection) -> Profile:
        """``me`` is the caller's own, which an app client has not. Others are those of its organization."""
        own = await GET_OWN_PROFILE.fetch_one(connection, caller.organization_id, caller.principal_id)
        if own is not None and profile_id in (OWN, own["id"]):
            return private_view(own)
        row = await GET_PUBLIC_PROFILE.fetch_one(connection, caller.organization_id, profile_id)
        if row is None:
            raise profile_not_found(profile_id)
        return public_view(row)

    @patch("/{profile_id:str}")
    async def update_profile(
        self, profile_id: str, data: PatchProfile, caller: Caller, connection: RequestConnection
    ) -> Profile:
        """Nobody changes another's, whether there is such a profile or not."""
        principal = (caller.organization_id, caller.principal_id)
        if profile_id != OWN:
            own = await GET_OWN_PROFILE.fetch_one(connection, *principal)
            if own is None or own["id"] != profile_id:
                raise Forbidden
        require_members(data)
        row = await UPDATE_OWN_PROFILE.fetch_one(
            connection,
            *principal,
            *change(data.given_name),
            *change(data.family_name),
            *change(data.locale),
            *change(data.picture),
            *change(checked_metadata(data.metadata)),
        )
        if row is None:
            raise profile_not_found(profile_id)
        return private_view(row)
