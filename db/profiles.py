"""Profiles: people, who may be users of several organizations."""

from __future__ import annotations

from db.statements import untyped_tenant as tenant

PROFILE_COLUMNS = """
    id, email, given_name, family_name, name, picture, locale, metadata, number_of_organizations_allowed,
    number_of_organizations_created, created_time, updated_time
"""
OF_USER = "(SELECT profile_id FROM organization_user WHERE organization_id = $1 AND id = $2)"

GET_OWN_PROFILE = tenant("profiles.get_own", f"SELECT {PROFILE_COLUMNS} FROM profile WHERE id = {OF_USER}")

GET_PUBLIC_PROFILE = tenant(
    "profiles.get_public",
    """
    SELECT id, given_name, family_name, picture FROM profile
    WHERE id = $2
        AND EXISTS (SELECT FROM organization_user WHERE organization_id = $1 AND profile_id = $2)
    """,
)

# Each member comes with a flag that says whether it was sent.
UPDATE_OWN_PROFILE = tenant(
    "profiles.update_own",
    f"""
    UPDATE profile SET
        given_name = CASE WHEN $3 THEN $4 ELSE given_name END,
        family_name = CASE WHEN $5 THEN $6 ELSE family_name END,
        locale = CASE WHEN $7 THEN $8 ELSE locale END,
        picture = CASE WHEN $9 THEN $10 ELSE picture END,
        metadata = CASE WHEN $11 THEN $12 ELSE metadata END,
        updated_time = now()
    WHERE id = {OF_USER}
    RETURNING {PROFILE_COLUMNS}
    """,
)

COUNT_ORGANIZATION = tenant(
    "profiles.count_organization",
    f"""
    UPDATE profile SET number_of_organizations_created = number_of_organizations_created + 1
    WHERE id = {OF_USER} AND number_of_organizations_created < number_of_organizations_allowed
    RETURNING id, email
    """,
)
