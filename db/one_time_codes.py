"""Codes that are mailed, of which only hashes are stored. They belong to people, not to organizations.

A code is a row before it is a code: its hash is written when the mail with the code is sent. So no table and
no job ever holds a code that works.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from db.statements import Connection, Row, RowCount, crossing
from pagemill.ids import CodeId, UserId

Purpose: TypeAlias = Literal["recover", "verify", "invite"]

PERSON = "a code is a person's, who may be a user of several organizations, or of none yet"


class ProvenCodeRow(Row):
    """A code that somebody has got by mail, and so has the address."""

    id: CodeId
    user_id: UserId | None


@crossing(
    PERSON,
    """
    WITH forgotten AS (
        DELETE FROM one_time_code WHERE id IN (
            SELECT id FROM one_time_code
            WHERE coalesce(used_time, expires_time) < now() - interval '1 day'
            ORDER BY coalesce(used_time, expires_time) LIMIT 100 FOR UPDATE SKIP LOCKED
        )
    )
    INSERT INTO one_time_code (id, purpose, profile_id, email, user_id, expires_time)
    SELECT :code_id::text, :purpose::text, (SELECT id FROM profile WHERE email = :email), :email::text,
        :user_id::text, now() + make_interval(secs => :seconds)
    WHERE :most::integer > (
        SELECT count(*) FROM one_time_code
        WHERE email = :email AND purpose = :purpose AND created_time > now() - interval '1 hour'
    ) AND (
        :most_a_day::integer IS NULL OR :most_a_day > (
            SELECT count(*) FROM one_time_code
            WHERE purpose = :purpose AND created_time > now() - interval '1 day'
        )
    )
    RETURNING id
    """,
)
async def insert_code(
    connection: Connection,
    *,
    code_id: CodeId,
    purpose: Purpose,
    email: str,
    user_id: UserId | None,
    seconds: float,
    most: int,
    most_a_day: int | None,
) -> CodeId | None:
    """Add a code that is to be made within ``seconds``, and forget some that have been over for a day.

    Returns None when an address has got ``most`` codes for the same purpose within an hour, or all addresses
    ``most_a_day`` within a day.
    """


@crossing(
    PERSON,
    """
    UPDATE one_time_code
    SET code_hash = :code_hash, attempts = 0, expires_time = now() + make_interval(secs => :seconds)
    WHERE id = :code_id AND used_time IS NULL AND expires_time > now()
    RETURNING id
    """,
)
async def set_code_hash(
    connection: Connection, *, code_id: CodeId, code_hash: str, seconds: float
) -> CodeId | None:
    """Say by its hash what a code is; it works for ``seconds``. None: it is not wanted any more."""


# A wrong try counts against all codes of the address and purpose: which of them was meant is not known.
@crossing(
    PERSON,
    """
    WITH tried AS (
        UPDATE one_time_code SET attempts = attempts + 1
        WHERE email = :email AND purpose = :purpose AND used_time IS NULL AND expires_time > now()
            AND code_hash <> '' AND attempts < :most
        RETURNING id, user_id, code_hash
    )
    SELECT id, user_id FROM tried WHERE code_hash = :code_hash
    """,
)
async def try_code(
    connection: Connection, *, email: str, purpose: Purpose, code_hash: str, most: int
) -> ProvenCodeRow | None:
    """Return the code with a hash, and count a try, of which a code allows ``most``."""


@crossing(
    PERSON,
    "UPDATE one_time_code SET used_time = now() WHERE id = :code_id AND used_time IS NULL RETURNING id",
)
async def use_code(connection: Connection, *, code_id: CodeId) -> CodeId | None:
    """Use a code. None: somebody has used it just now."""


@crossing(
    PERSON,
    """
    UPDATE one_time_code SET used_time = now()
    WHERE email = :email AND purpose = :purpose AND used_time IS NULL
    """,
)
async def end_codes(connection: Connection, *, email: str, purpose: Purpose) -> RowCount:
    """Let no code of an address for a purpose work any more."""


@crossing(
    PERSON,
    """
    UPDATE one_time_code SET used_time = now()
    WHERE user_id = :user_id AND purpose = 'invite' AND used_time IS NULL
    """,
)
async def end_invitation_codes(connection: Connection, *, user_id: UserId) -> RowCount:
    """Let no code of a user's invitations work any more."""
