"""Answers to POST requests with an ``Idempotency-Key``. All times are the database's.

``created_time`` is also the fence: a key is completed or released by the time at which it was claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from db.statements import Connection, Row, crossing, tenant
from pagemill.ids import OrganizationId, PrincipalId


class KeyOfCaller(TypedDict):
    """The primary key: an idempotency key belongs to a caller."""

    organization_id: OrganizationId
    principal_id: PrincipalId
    key: str


class AnswerRow(Row):
    """The request that has a key, and its answer; ``status_code`` is null while it is worked on.

    ``body`` alone is null when the answer went with what it named.
    """

    fingerprint: str
    status_code: int | None
    body: bytes | None


@crossing("touches no data", "SELECT set_config('lock_timeout', :timeout, true)")
async def limit_lock_wait(connection: Connection, *, timeout: str) -> None:
    """Limit how long this transaction waits for locks, like ``5s``; ``0`` is without limit."""


@tenant("""
    INSERT INTO idempotency_key (organization_id, principal_id, key, fingerprint, created_time)
    VALUES (:organization_id, :principal_id, :key, :fingerprint, clock_timestamp())
    ON CONFLICT (organization_id, principal_id, key) DO UPDATE SET
        fingerprint = EXCLUDED.fingerprint, status_code = NULL, body = NULL, named = '[]',
        created_time = EXCLUDED.created_time
    WHERE idempotency_key.created_time < clock_timestamp() - make_interval(secs => :kept_seconds)
        OR idempotency_key.status_code IS NULL
            AND idempotency_key.created_time < clock_timestamp() - make_interval(secs => :abandoned_seconds)
    RETURNING created_time
""")
async def claim_key(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    principal_id: PrincipalId,
    key: str,
    fingerprint: str,
    kept_seconds: float,
    abandoned_seconds: float,
) -> datetime | None:
    """Claim a key that is new, has expired, or whose work was abandoned. Returns the time of the claim."""


@tenant("""
    SELECT fingerprint, status_code, body FROM idempotency_key
    WHERE organization_id = :organization_id AND principal_id = :principal_id AND key = :key
""")
async def find_answer(
    connection: Connection, *, organization_id: OrganizationId, principal_id: PrincipalId, key: str
) -> AnswerRow | None:
    """Return the request that has the key, and its answer."""


@tenant("""
    UPDATE idempotency_key SET status_code = :status_code, body = :body, named = :named
    WHERE organization_id = :organization_id AND principal_id = :principal_id AND key = :key
        AND created_time = :claimed_time
""")
async def complete_key(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    principal_id: PrincipalId,
    key: str,
    claimed_time: datetime,
    status_code: int,
    body: bytes,
    named: Sequence[str],
) -> None:
    """Store the answer to a key, unless it has been claimed anew.

    ``named`` are the documents and predictions whose values it can hold.
    """


@tenant("""
    DELETE FROM idempotency_key
    WHERE organization_id = :organization_id AND principal_id = :principal_id AND key = :key
        AND created_time = :claimed_time AND status_code IS NULL
""")
async def release_key(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    principal_id: PrincipalId,
    key: str,
    claimed_time: datetime,
) -> None:
    """Delete a key without an answer, unless it has been claimed anew."""


@crossing(
    "answers expire for all organizations alike",
    """
    DELETE FROM idempotency_key WHERE (organization_id, principal_id, key) IN (
        SELECT organization_id, principal_id, key FROM idempotency_key
        WHERE created_time < clock_timestamp() - make_interval(secs => :kept_seconds)
        ORDER BY created_time LIMIT 20 FOR UPDATE SKIP LOCKED
    )
    """,
)
async def delete_expired_keys(connection: Connection, *, kept_seconds: float) -> None:
    """Delete a few expired keys."""
