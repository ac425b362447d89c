"""Figures of executions of all organizations, for the operator."""

from __future__ import annotations

import datetime
from typing import Annotated

from db.statements import Connection, NeverNull, Row, crossing
from db.transition_executions import LEASE, TransitionExecutionStatus
from db.transitions import TransitionType
from db.workflow_executions import WorkflowExecutionStatus


class OpenExecutionsRow(Row):
    """Number of workflows' executions that have not ended, in a status."""

    status: WorkflowExecutionStatus
    executions: Annotated[int, NeverNull("count(*)")]


class WaitingStepsRow(Row):
    """Number of steps that people can claim now, and the seconds that the first of them has waited."""

    steps: Annotated[int, NeverNull("count(*)")]
    oldest: Annotated[float, NeverNull("0 without any")]


class EndedStepsRow(Row):
    """Number of steps of a type that have ended with an outcome until a time; 0 without a type."""

    until: Annotated[datetime.datetime, NeverNull("computed from the clock")]
    outcome: TransitionExecutionStatus | None
    steps: Annotated[int, NeverNull("count(*)")]
    transition_type: TransitionType | None


@crossing(
    "the operator sees how many executions are open, not whose",
    """
    SELECT status, count(*) AS executions FROM workflow_execution
    WHERE status IN ('running', 'retry') GROUP BY status
    """,
)
async def list_open_executions(connection: Connection) -> list[OpenExecutionsRow]:
    """Count the executions of workflows that run, or wait for somebody to say how they go on."""


@crossing(
    "the operator sees how many steps wait for people, not whose",
    f"""
    SELECT count(*) AS steps, coalesce(
        extract(epoch FROM now() - min(coalesce(step.deferred_until, step.created_time)))::float8, 0
    ) AS oldest
    FROM transition_execution AS step JOIN transition ON transition.id = step.transition_id
    WHERE step.status = 'running' AND transition.transition_type = 'manual'
        AND (step.deferred_until IS NULL OR step.deferred_until <= now())
        AND (step.claimed_by IS NULL OR step.heartbeat_time < now() - {LEASE})
    """,
)
async def count_waiting_steps(connection: Connection) -> WaitingStepsRow:
    """Count the steps that people can claim now."""


# A transaction that ends a step writes the time at which it began: those of the last two seconds may not be
# seen yet. Nobody who asks again after a long time gets more than the last ten minutes. A transition of all
# organizations has no row; it is a function.
@crossing(
    "the operator sees how steps end, not whose",
    """
    SELECT bound.until, step.status AS outcome, count(step.id) AS steps,
        CASE WHEN step.status IS NOT NULL THEN coalesce(transition.transition_type, 'lambda') END
            AS transition_type
    FROM (SELECT now() - interval '2 seconds' AS until) AS bound
    LEFT JOIN transition_execution AS step ON step.end_time <= bound.until
        AND step.end_time > greatest(
            coalesce(:since::timestamptz, bound.until), bound.until - interval '10 minutes'
        )
    LEFT JOIN transition ON transition.id = step.transition_id
    GROUP BY bound.until, transition.transition_type, step.status
    """,
)
async def list_ended_steps(connection: Connection, *, since: datetime.datetime | None) -> list[EndedStepsRow]:
    """Count the steps that have ended since a time; none when it is null."""
