"""Answers to POST requests that carried ``Idempotency-Key``. All times are the database's.

``created_time`` is also the fence: whoever completes or releases a key names the time at which it claimed it.
"""

from __future__ import annotations

from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

# How long this transaction waits for another one that holds the key; '0' is for ever.
BOUND_WAIT = crossing(
    "idempotency.bound_wait", "touches no data", "SELECT set_config('lock_timeout', $1, true)"
)

# Returns no row when the key is taken. One whose answer has expired, or whose work was abandoned, is free.
CLAIM = tenant(
    "idempotency.claim",
    """
    INSERT INTO idempotency_key (organization_id, principal_id, key, fingerprint, created_time)
    VALUES ($1, $2, $3, $4, clock_timestamp())
    ON CONFLICT (organization_id, principal_id, key) DO UPDATE SET
        fingerprint = EXCLUDED.fingerprint, status_code = NULL, body = NULL,
        created_time = EXCLUDED.created_time
    WHERE idempotency_key.created_time < clock_timestamp() - make_interval(secs => $5)
        OR idempotency_key.status_code IS NULL
            AND idempotency_key.created_time < clock_timestamp() - make_interval(secs => $6)
    RETURNING created_time
    """,
)

GET = tenant(
    "idempotency.get",
    """
    SELECT fingerprint, status_code, body FROM idempotency_key
    WHERE organization_id = $1 AND principal_id = $2 AND key = $3
    """,
)

COMPLETE = tenant(
    "idempotency.complete",
    """
    UPDATE idempotency_key SET status_code = $5, body = $6
    WHERE organization_id = $1 AND principal_id = $2 AND key = $3 AND created_time = $4
    """,
)

RELEASE = tenant(
    "idempotency.release",
    """
    DELETE FROM idempotency_key
    WHERE organization_id = $1 AND principal_id = $2 AND key = $3 AND created_time = $4
        AND status_code IS NULL
    """,
)

SWEEP = crossing(
    "idempotency.sweep",
    "answers expire for all organizations alike",
    """
    DELETE FROM idempotency_key WHERE (organization_id, principal_id, key) IN (
        SELECT organization_id, principal_id, key FROM idempotency_key
        WHERE created_time < clock_timestamp() - make_interval(secs => $1)
        ORDER BY created_time LIMIT 20 FOR UPDATE SKIP LOCKED
    )
    """,
)
