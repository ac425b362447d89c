"""Keys that sign access tokens, for all organizations."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any

from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing

PLATFORM = "the keys are the platform's"


class SigningKeyRow(Row):
    """A signing key; ``age`` is in seconds. The newest one has no ``retire_time``."""

    kid: str
    public_key: dict[str, Any]
    key_id: str
    nonce: bytes
    ciphertext: bytes
    created_time: datetime.datetime
    age: Annotated[float, NeverNull("created_time is never null")]
    retire_time: datetime.datetime | None
    delete_time: datetime.datetime | None


SIGNING_KEY = columns(SigningKeyRow, age="extract(epoch FROM now() - created_time)::float8")


@crossing(
    PLATFORM,
    f"""
    SELECT {SIGNING_KEY} FROM signing_key
    WHERE delete_time IS NULL OR delete_time > now() ORDER BY created_time, kid
    """,
)
async def list_signing_keys(connection: Connection) -> list[SigningKeyRow]:
    """Return the keys whose tokens are accepted, oldest first."""


@crossing(
    PLATFORM,
    """
    INSERT INTO signing_key (kid, public_key, key_id, nonce, ciphertext)
    VALUES (:kid, :public_key, :key_id, :nonce, :ciphertext)
    ON CONFLICT DO NOTHING
    """,
)
async def insert_signing_key(
    connection: Connection,
    *,
    kid: str,
    public_key: Mapping[str, Any],
    key_id: str,
    nonce: bytes,
    ciphertext: bytes,
) -> RowCount:
    """Add the newest key, unless there is one that is not retired."""


@crossing(
    PLATFORM,
    """
    UPDATE signing_key SET
        retire_time = now() + make_interval(secs => :signs_seconds),
        delete_time = now() + make_interval(secs => :accepted_seconds)
    WHERE kid = :kid AND retire_time IS NULL
    """,
)
async def retire_signing_key(
    connection: Connection, *, kid: str, signs_seconds: float, accepted_seconds: float
) -> RowCount:
    """Retire the newest key: how much longer it signs, and how much longer its tokens are accepted."""


@crossing(PLATFORM, "DELETE FROM signing_key WHERE kid <> :kept_kid")
async def delete_other_signing_keys(connection: Connection, *, kept_kid: str) -> RowCount:
    """Delete all keys but one: their tokens are refused."""


@crossing(PLATFORM, "DELETE FROM signing_key WHERE delete_time <= now()")
async def delete_ended_signing_keys(connection: Connection) -> RowCount:
    """Delete the keys of which no token is valid any more."""
