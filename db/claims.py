"""Claims of people on executions of manual transitions.

An execution waits until it is claimed. The claim holds while heartbeats come: a minute after the last one
somebody else can claim the execution. Its holder can give it back before, to its place in the queue or to a
later one. What has ended is kept in ``former_claims``.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal, TypeAlias

from db.statements import Connection, NeverNull, RowCount, columns, tenant
from db.transition_executions import LEASE, TransitionExecutionRow
from pagemill.ids import OrganizationId, PrincipalId, TransitionExecutionId, TransitionId

GivingBack: TypeAlias = Literal["released", "deferred"]

KEPT_CLAIMS = 100


class ClaimedRow(TransitionExecutionRow):
    """An execution whose claim has changed, and the claim that has ended by that, if any.

    ``production``: it is a step of a workflow in production.
    """

    ended_claim: dict[str, Any] | None
    production: Annotated[bool, NeverNull("coalesce")]


# Of an execution that people hand round for long, only the newest claims are kept.
def _with_ended_claim(until: str, ending: str, reason: str = "NULL") -> str:
    """Return SQL for the former claims with the one of ``execution``."""
    return f"""
        CASE WHEN jsonb_array_length(execution.former_claims) < {KEPT_CLAIMS} THEN execution.former_claims
            ELSE execution.former_claims - 0
        END || jsonb_build_array(jsonb_build_object(
            'claimedBy', execution.claimed_by, 'claimedTime', execution.claimed_time, 'endedTime', {until},
            'ending', {ending}, 'reason', {reason}
        ))
    """


# One that had timed out when its claim lapsed is not claimed again.
WAITING = f"""
    organization_id = :organization_id AND transition_id = :transition_id AND status = 'running'
    AND (
        claimed_by IS NULL
        OR (heartbeat_time < now() - {LEASE} AND heartbeat_time + {LEASE} <= expires)
    )
"""
CLAIMED = columns(
    ClaimedRow,
    "execution",
    ended_claim="CASE WHEN former.claimed_by IS NOT NULL THEN execution.former_claims -> -1 END",
    production="""coalesce((
        SELECT workflow.status = 'production'
        FROM workflow_execution JOIN workflow ON workflow.id = workflow_execution.workflow_id
        WHERE workflow_execution.organization_id = :organization_id
            AND workflow_execution.id = execution.workflow_execution_id
    ), false)""",
)


def _claiming(candidate: str) -> str:
    """Return the statement that claims the waiting execution that ``candidate`` narrows down to."""
    return f"""
        WITH former AS MATERIALIZED (
            SELECT id, claimed_by FROM transition_execution WHERE {WAITING} {candidate}
        )
        UPDATE transition_execution AS execution SET
            former_claims = CASE
                WHEN former.claimed_by IS NULL THEN execution.former_claims
                ELSE {_with_ended_claim("execution.heartbeat_time", "'lapsed'")}
            END,
            claimed_by = :claimed_by, claimed_time = now(), start_time = now(), heartbeat_time = now(),
            expires = now() + make_interval(secs => coalesce(
                execution.timeout_in_seconds,
                (
                    SELECT workflow.definition #>> ARRAY['States', execution.state, 'TimeoutSeconds']
                    FROM workflow_execution JOIN workflow ON workflow.id = workflow_execution.workflow_id
                    WHERE workflow_execution.organization_id = :organization_id
                        AND workflow_execution.id = execution.workflow_execution_id
                )::double precision,
                (
                    SELECT timeout_in_seconds FROM transition
                    WHERE organization_id = :organization_id AND id = :transition_id
                )
            ))
        FROM former
        WHERE execution.organization_id = :organization_id AND execution.id = former.id
        RETURNING {CLAIMED}
    """


@tenant(
    _claiming("""
        AND (deferred_until IS NULL OR deferred_until <= now())
        ORDER BY coalesce(deferred_until, created_time), id LIMIT 1
        FOR UPDATE SKIP LOCKED
    """)
)
async def claim_next_execution(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    claimed_by: PrincipalId,
) -> ClaimedRow | None:
    """Claim the execution that waits longest, and start it.

    One whose claim has lapsed for want of heartbeats waits again, unless it had timed out before.
    """


@tenant(_claiming("AND id = :execution_id FOR UPDATE"))
async def claim_execution(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
    claimed_by: PrincipalId,
) -> ClaimedRow | None:
    """Claim an execution that waits, also a deferred one, and start it."""


@tenant(f"""
    WITH former AS MATERIALIZED (
        SELECT id, claimed_by FROM transition_execution
        WHERE organization_id = :organization_id AND transition_id = :transition_id AND id = :execution_id
            AND status = 'running' AND claimed_by = :claimed_by AND (expires IS NULL OR expires >= now())
        FOR UPDATE
    )
    UPDATE transition_execution AS execution SET
        former_claims = {_with_ended_claim("now()", ":ending::text", ":reason::text")},
        claimed_by = NULL, claimed_time = NULL, start_time = NULL, heartbeat_time = NULL, expires = NULL,
        deferred_until = CASE
            WHEN :ending = 'deferred' THEN greatest(:deferred_until::timestamptz, now())
            ELSE execution.deferred_until
        END
    FROM former
    WHERE execution.organization_id = :organization_id AND execution.id = former.id
    RETURNING {CLAIMED}
""")
async def give_execution_back(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
    claimed_by: PrincipalId,
    ending: GivingBack,
    reason: str | None,
    deferred_until: datetime.datetime | None,
) -> ClaimedRow | None:
    """End a claim by its holder; the execution waits again.

    A released one has its place in the queue, a deferred one that of an execution which comes at that time,
    or now.
    """


# Who has given a claim back, or lost it, is told so.
@tenant("""
    UPDATE transition_execution SET
        heartbeat_time = CASE WHEN heartbeat_time IS NOT NULL THEN now() END
    WHERE organization_id = :organization_id AND transition_id = :transition_id AND id = :execution_id
        AND status = 'running' AND (expires IS NULL OR expires >= now())
        AND CASE
            WHEN claimed_by IS NOT NULL THEN claimed_by = :claimed_by
            ELSE NOT former_claims @> jsonb_build_array(jsonb_build_object('claimedBy', :claimed_by::text))
        END
""")
async def record_heartbeat(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
    claimed_by: PrincipalId,
) -> RowCount:
    """Keep the caller's claim on an execution that is running and has not timed out.

    One that nobody has ever claimed, of a container for example, takes heartbeats of everybody.
    """
