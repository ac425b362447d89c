"""Profiles: people, who may be users of several organizations."""

from __future__ import annotations

import datetime
from typing import Any

from msgspec import UnsetType

from db.statements import Connection, Row, columns, crossing, tenant
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


class PersonRow(Row):
    """A person, known by a proven address."""

    id: ProfileId
    email: str
    name: str | None


PERSON = "a person may be a user of several organizations, or of none yet"
NAME = "coalesce(name, nullif(concat_ws(' ', given_name, family_name), ''))"

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


@crossing(
    PERSON,
    f"""
    UPDATE profile SET number_of_organizations_created = number_of_organizations_created + 1
    WHERE id = :profile_id AND number_of_organizations_created < number_of_organizations_allowed
    RETURNING {columns(OrganizationCreatorRow)}
    """,
)
async def count_organization_of_person(
    connection: Connection, *, profile_id: ProfileId
) -> OrganizationCreatorRow | None:
    """Count one more organization that a person creates, if the profile allows one more."""


@crossing(PERSON, f"SELECT id, email, {NAME} AS name FROM profile WHERE id = :profile_id")
async def find_person(connection: Connection, *, profile_id: ProfileId) -> PersonRow | None:
    """Return a person."""


@crossing(PERSON, "SELECT id FROM profile WHERE email = :email")
async def find_profile_id(connection: Connection, *, email: str) -> ProfileId | None:
    """Return the profile with an address."""


@crossing(
    PERSON,
    """
    INSERT INTO profile (id, email, given_name, family_name, email_verified_time)
    VALUES (:profile_id, :email, :given_name, :family_name, now())
    ON CONFLICT (email) DO UPDATE SET
        email_verified_time = coalesce(profile.email_verified_time, excluded.email_verified_time),
        given_name = coalesce(profile.given_name, excluded.given_name),
        family_name = coalesce(profile.family_name, excluded.family_name)
    RETURNING id
    """,
)
async def ensure_profile(
    connection: Connection,
    *,
    profile_id: ProfileId,
    email: str,
    given_name: str | None,
    family_name: str | None,
) -> ProfileId:
    """Add the profile of a person who has proved an address, unless there is one; return its id."""


@crossing(
    "the operator names a person",
    """
    UPDATE profile SET number_of_organizations_allowed = :allowed, updated_time = now()
    WHERE email = :email RETURNING id
    """,
)
async def set_organizations_allowed(connection: Connection, *, email: str, allowed: int) -> ProfileId | None:
    """Change how many organizations a person may create; return its profile if there is one."""
