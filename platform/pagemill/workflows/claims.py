"""Claims of people on executions of manual transitions: one holder at a time, each claim counted once."""

from __future__ import annotations

import datetime
from typing import NoReturn

import msgspec

from db import claims as statements
from db.claims import ClaimedRow, GivingBack
from db.statements import Connection
from db.transition_executions import lock_transition_execution
from pagemill.errors import BadRequest
from pagemill.ids import OrganizationId, PrincipalId, TransitionExecutionId, TransitionId
from pagemill.workflows.logs import write_line
from pagemill.workflows.transition_executions import count_claim, lock_running, watch_step

LONGEST_DEFERRAL = datetime.timedelta(days=366)


class EndedClaim(msgspec.Struct, frozen=True, rename="camel"):
    """A claim that was ``released`` or ``deferred``, or has ``lapsed`` with its last heartbeat."""

    claimed_by: PrincipalId
    claimed_time: datetime.datetime
    ended_time: datetime.datetime
    ending: str
    reason: str | None = None


async def claim_next(
    connection: Connection, organization_id: OrganizationId, transition_id: TransitionId, *, by: PrincipalId
) -> ClaimedRow | None:
    """Claim the execution that has waited longest; None when none waits."""
    row = await statements.claim_next_execution(
        connection, organization_id=organization_id, transition_id=transition_id, claimed_by=by
    )
    if row is not None:
        await _follow_up(connection, organization_id, row)
    return row


async def claim(
    connection: Connection,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
    *,
    by: PrincipalId,
) -> None:
    """Claim an execution of the transition; who holds it already keeps it.

    Raises BadRequest when it has ended or timed out, or somebody else holds it.
    """
    # The lock makes those who claim it at the same time wait for each other.
    row = await lock_transition_execution(
        connection, organization_id=organization_id, execution_id=execution_id
    )
    holds = row is not None and row.claimed_by == by
    if holds and await keep(connection, organization_id, transition_id, execution_id, by=by):
        return
    claimed = await statements.claim_execution(
        connection,
        organization_id=organization_id,
        transition_id=transition_id,
        execution_id=execution_id,
        claimed_by=by,
    )
    if claimed is None:
        await refuse(connection, organization_id, execution_id, by=by)
    await _follow_up(connection, organization_id, claimed)


async def keep(
    connection: Connection,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
    *,
    by: PrincipalId,
) -> bool:
    """Record a heartbeat; return whether it counts: ``refuse`` says why not."""
    kept = await statements.record_heartbeat(
        connection,
        organization_id=organization_id,
        transition_id=transition_id,
        execution_id=execution_id,
        claimed_by=by,
    )
    return kept > 0


async def refuse(
    connection: Connection,
    organization_id: OrganizationId,
    execution_id: TransitionExecutionId,
    *,
    by: PrincipalId,
) -> NoReturn:
    """Say why somebody does not hold an execution. Raises BadRequest."""
    await lock_running(connection, organization_id, execution_id, by=by)
    raise BadRequest(f"Transition execution {execution_id} is not claimed by {by}")


async def give_back(
    connection: Connection,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
    *,
    by: PrincipalId,
    ending: GivingBack,
    reason: str | None = None,
    until: datetime.datetime | None = None,
) -> None:
    """End the claim of its holder, so that the execution waits again; ``until`` is for a deferral.

    Raises BadRequest when the execution has ended or timed out, or is not held, and for a time too far away.
    """
    if until is not None and until > datetime.datetime.now(datetime.UTC) + LONGEST_DEFERRAL:
        raise BadRequest(f"until: must be within {LONGEST_DEFERRAL.days} days")
    row = await statements.give_execution_back(
        connection,
        organization_id=organization_id,
        transition_id=transition_id,
        execution_id=execution_id,
        claimed_by=by,
        ending=ending,
        reason=reason,
        deferred_until=until,
    )
    if row is None:
        await refuse(connection, organization_id, execution_id, by=by)
    await _follow_up(connection, organization_id, row)
    line = f"{ending.capitalize()} by {by}"
    if until is not None:
        line = f"{line} until {until.isoformat()}"
    await write_line(connection, organization_id, row.log_id, f"{line}: {reason}" if reason else line)


async def _follow_up(connection: Connection, organization_id: OrganizationId, row: ClaimedRow) -> None:
    """Count the claim that has ended by a change, and watch the step for the new one, if there is one."""
    if row.ended_claim is not None:
        ended = msgspec.convert(row.ended_claim, EndedClaim)
        await count_claim(
            connection,
            organization_id,
            ended.claimed_by,
            ended.claimed_time,
            ended.ended_time,
            production=row.production,
        )
    await watch_step(connection, organization_id, row.id)
