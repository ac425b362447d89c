"""Accounts of people at OpenID providers. They belong to no organization."""

from __future__ import annotations

from typing import Annotated

from db.statements import Connection, NeverNull, crossing
from pagemill.ids import ProfileId

PERSON = "an account at a provider is a person's, who may be a user of several organizations"


@crossing(PERSON, "SELECT profile_id FROM identity WHERE issuer = :issuer AND subject = :subject")
async def find_identity(connection: Connection, *, issuer: str, subject: str) -> ProfileId | None:
    """Return the person with an account at a provider."""


@crossing(
    PERSON,
    """
    INSERT INTO identity (issuer, subject, profile_id) VALUES (:issuer, :subject, :profile_id)
    ON CONFLICT (issuer, subject) DO NOTHING
    """,
)
async def insert_identity(
    connection: Connection, *, issuer: str, subject: str, profile_id: ProfileId
) -> None:
    """Note that an account at a provider is a person's; one that is somebody's already stays theirs."""


@crossing(
    PERSON,
    """
    SELECT EXISTS (SELECT FROM password WHERE profile_id = :profile_id)
        OR EXISTS (SELECT FROM identity WHERE profile_id = :profile_id)
    """,
)
async def can_sign_in(
    connection: Connection, *, profile_id: ProfileId
) -> Annotated[bool, NeverNull("EXISTS")]:
    """Return whether a person has a password, or an account at a provider."""


@crossing(PERSON, "SELECT issuer FROM identity WHERE profile_id = :profile_id ORDER BY created_time, issuer")
async def list_issuers(connection: Connection, *, profile_id: ProfileId) -> list[str]:
    """Return the providers at which a person has an account."""
