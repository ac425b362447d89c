"""Profiles: people, who may be users of several organizations."""

from __future__ import annotations

import datetime
from typing import Any

from msgspec import UnsetType

from db.statements import Connection, Row, columns, tenant
from pagemill.ids import OrganizationId, PrincipalId, ProfileId


class ProfileRow(Row):
    """A profile as the person itself sees it."""

    id: ProfileId
    email: str
    given_name: str | None
    family_name: str | None
    name: str | None
    picture: str | None
    locale: str | None
    metadata: dict[str, Any] | None
    number_of_organizations_allowed: int
    number_of_organizations_created: int
    created_time: datetime.datetime
    updated_time: datetime.datetime | None


class PublicProfileRow(Row):
    """A profile as other users of the person's organizations see it."""

    id: ProfileId
    given_name: str | None
    family_name: str | None
    picture: str | None


class OrganizationCreatorRow(Row):
    """The person who creates an organization."""

    id: ProfileId
    email: str


OF_USER = """(
    SELECT profile_id FROM organization_user WHERE organization_id = :organization_id AND id = :user_id
)"""


@tenant(f"SELECT {columns(ProfileRow)} FROM profile WHERE id = {OF_USER}")
async def get_own_profile(
    connection: Connection, *, organization_id: OrganizationId, user_id: PrincipalId
) -> ProfileRow | None:
    """Return the profile of a user; an app client has none."""


@tenant(f"""
    SELECT {columns(PublicProfileRow)} FROM profile
    WHERE id = :profile_id
        AND EXISTS (
            SELECT FROM organization_user
            WHERE organization_id = :organization_id AND profile_id = :profile_id
        )
""")
async def get_public_profile(
    connection: Connection, *, organization_id: OrganizationId, profile_id: ProfileId
) -> PublicProfileRow | None:
    """Return the profile of a person who is a user of the organization."""


@tenant(f"""
    UPDATE profile SET
        given_name = CASE WHEN :given_name_sent THEN :given_name ELSE given_name END,
        family_name = CASE WHEN :family_name_sent THEN :family_name ELSE family_name END,
        locale = CASE WHEN :locale_sent THEN :locale ELSE locale END,
        picture = CASE WHEN :picture_sent THEN :picture ELSE picture END,
        metadata = CASE WHEN :metadata_sent THEN :metadata ELSE metadata END,
        updated_time = now()
    WHERE id = {OF_USER}
    RETURNING {columns(ProfileRow)}
""")
async def update_own_profile(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    user_id: PrincipalId,
    given_name: str | UnsetType | None,
    family_name: str | UnsetType | None,
    locale: str | UnsetType | None,
    picture: str | UnsetType | None,
    metadata: dict[str, Any] | UnsetType | None,
) -> ProfileRow | None:
    """Change what is sent of the profile of a user; an app client has none."""


@tenant(f"""
    UPDATE profile SET number_of_organizations_created = number_of_organizations_created + 1
    WHERE id = {OF_USER} AND number_of_organizations_created < number_of_organizations_allowed
    RETURNING {columns(OrganizationCreatorRow)}
""")
async def count_created_organization(
    connection: Connection, *, organization_id: OrganizationId, user_id: PrincipalId
) -> OrganizationCreatorRow | None:
    """Count one more organization that the user's person creates, if the profile allows one more."""
