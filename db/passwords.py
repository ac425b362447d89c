"""Passwords of people, of which only hashes are stored. They belong to no organization."""

from __future__ import annotations

from db.statements import Connection, Row, crossing
from pagemill.ids import ProfileId

PERSON = "a password is a person's, who may be a user of several organizations"


class CredentialsRow(Row):
    """A person, and the hash of the password; null for one who has none."""

    profile_id: ProfileId
    hash: str | None


@crossing(
    PERSON,
    """
    SELECT profile.id AS profile_id, password.hash
    FROM profile LEFT JOIN password ON password.profile_id = profile.id
    WHERE profile.email = :email
    """,
)
async def find_credentials(connection: Connection, *, email: str) -> CredentialsRow | None:
    """Return the person with an address."""


@crossing(PERSON, "SELECT hash FROM password WHERE profile_id = :profile_id")
async def find_password_hash(connection: Connection, *, profile_id: ProfileId) -> str | None:
    """Return the hash of a person's password."""


@crossing(
    PERSON,
    """
    INSERT INTO password (profile_id, hash) VALUES (:profile_id, :hash)
    ON CONFLICT (profile_id) DO UPDATE SET hash = excluded.hash, changed_time = now()
    """,
)
async def set_password_hash(connection: Connection, *, profile_id: ProfileId, hash: str) -> None:
    """Give a person a password."""


@crossing(
    PERSON,
    "UPDATE password SET hash = :new_hash WHERE profile_id = :profile_id AND hash = :hash",
)
async def renew_password_hash(
    connection: Connection,
    *,
    profile_id: ProfileId,
    hash: str,
    new_hash: str,
) -> None:
    """Replace the hash of the same password, unless the password has changed meanwhile."""
