"""Buckets of tokens that bound how many requests an organization sends."""

from __future__ import annotations

from db.statements import Connection, Row, tenant
from pagemill.ids import OrganizationId


class TakenRequestsRow(Row):
    """Result of taking tokens of a request bucket."""

    granted: int
    tokens: float
    """Tokens left in the bucket, fractions included."""


@tenant("""
    INSERT INTO request_allowance AS bucket (organization_id, tokens, granted, refilled_time)
    VALUES (
        :organization_id, :burst::float8 - least(:wanted::integer, floor(:burst::float8)),
        least(:wanted::integer, floor(:burst::float8)), clock_timestamp()
    )
    ON CONFLICT (organization_id) DO UPDATE SET (tokens, granted, refilled_time) = (
        SELECT available - taken, taken, refilled_at
        FROM (
            SELECT available, least(:wanted::integer, floor(available)) AS taken, refilled_at
            FROM (
                SELECT refilled_at, least(:burst::float8, bucket.tokens + :rate::float8 * greatest(
                    0, extract(epoch FROM refilled_at - bucket.refilled_time)::float8
                )) AS available
                FROM (SELECT clock_timestamp() AS refilled_at) AS reading
            ) AS refilled
        ) AS spent
    )
    RETURNING granted, tokens
""")
async def take_requests(
    connection: Connection, *, organization_id: OrganizationId, rate: float, burst: float, wanted: int
) -> TakenRequestsRow:
    """Take at most ``wanted`` tokens of a bucket that gets ``rate`` a second and holds ``burst``.

    The time is ``clock_timestamp()``: the statement may have waited for the row.
    """
