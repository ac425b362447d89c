"""What the operator asks about the whole database."""

from __future__ import annotations

from db.statements import crossing

QUEUE_DEPTH = crossing(
    "operation.queue_depth",
    "the operator sees how much work waits, not whose",
    """
    SELECT kind, state, count(*) AS jobs FROM job
    WHERE state IN ('queued', 'running')
    GROUP BY kind, state ORDER BY kind, state
    """,
)
