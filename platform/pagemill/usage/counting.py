"""Counting of what an organization creates and consumes.

Each count is one guarded statement, so no two callers get the same last unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from db import usage as statements
from db.statements import Connection
from db.usage_counts import count_each as count_each_meter
from pagemill.ids import OrganizationId, WorkflowId
from pagemill.usage.limits import UNLIMITED, limit_exceeded
from pagemill.usage.meters import Amount, Meter, current_month, period_of, to_decimal


async def count(
    connection: Connection,
    organization_id: OrganizationId,
    meter: Meter,
    amount: Amount = 1,
    *,
    at: datetime | None = None,
) -> None:
    """Count units, all or none. Raises LimitExceeded when the plan does not allow them."""
    counted = await statements.count_within_plan(
        connection,
        organization_id=organization_id,
        month=period_of(meter, current_month(at)),
        meter=meter,
        amount=to_decimal(amount),
    )
    if counted is None:
        raise limit_exceeded(meter)


async def count_freely(
    connection: Connection,
    organization_id: OrganizationId,
    meter: Meter,
    amount: Amount = 1,
    *,
    at: datetime | None = None,
) -> None:
    """Count units that have been used already, whatever the plan allows."""
    await statements.count_freely(
        connection,
        organization_id=organization_id,
        month=period_of(meter, current_month(at)),
        meter=meter,
        amount=to_decimal(amount),
    )


async def uncount(
    connection: Connection,
    organization_id: OrganizationId,
    meter: Meter,
    amount: Amount = 1,
    *,
    at: datetime | None = None,
) -> None:
    """Return units; the counter stays at zero when there are fewer."""
    await statements.uncount(
        connection,
        organization_id=organization_id,
        month=period_of(meter, current_month(at)),
        meter=meter,
        amount=to_decimal(amount),
    )


class Wanted(NamedTuple):
    """Units of a meter that have to be counted. ``allowed`` counts in place of what the plan allows."""

    organization_id: OrganizationId
    meter: str
    amount: int
    month: str
    allowed: int | None = None


def wanted_transition_executions(organization_id: OrganizationId, amount: int) -> Wanted:
    """Return what executions of transitions count for."""
    return Wanted(organization_id, "transition-executions", amount, current_month())


def wanted_workflow_execution(
    organization_id: OrganizationId, workflow_id: WorkflowId, *, allowed: int | None
) -> list[Wanted]:
    """Return what an execution counts for: the organization, and its workflow.

    ``allowed`` is the workflow's own limit for a month.
    """
    month = current_month()
    own = Wanted(
        organization_id, _workflow_meter(workflow_id), 1, month, UNLIMITED if allowed is None else allowed
    )
    return [Wanted(organization_id, "workflow-executions", 1, month), own]


def summed(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Return the sum of the units of each organization and meter; all of one have to have the same limit."""
    sums: dict[tuple[OrganizationId, str], Wanted] = {}
    for one in wanted:
        key = (one.organization_id, one.meter)
        before = sums.get(key)
        sums[key] = one if before is None else before._replace(amount=before.amount + one.amount)
    return list(sums.values())


async def count_each(connection: Connection, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Count each or none of its units, by one statement; return those that are not allowed.

    No two may be of the same organization and meter.
    """
    if not wanted:
        return []
    rows = await count_each_meter(
        connection,
        organization_ids=[one.organization_id for one in wanted],
        months=[one.month for one in wanted],
        meters=[one.meter for one in wanted],
        amounts=[to_decimal(one.amount) for one in wanted],
        allowances=[None if one.allowed is None else to_decimal(one.allowed) for one in wanted],
    )
    counted = {(row.organization_id, row.meter) for row in rows}
    return [one for one in wanted if (one.organization_id, one.meter) not in counted]


async def count_all(connection: Connection, wanted: Sequence[Wanted]) -> None:
    """Count units like ``count_each``. Raises LimitExceeded when one is not allowed."""
    for refused in await count_each(connection, wanted):
        of_workflow = refused.meter.startswith(statements.WORKFLOW_METER_PREFIX)
        raise limit_exceeded("workflow-executions of this workflow" if of_workflow else refused.meter)


async def forget_workflow(
    connection: Connection, organization_id: OrganizationId, workflow_id: WorkflowId
) -> None:
    """Delete the counters of a workflow's own executions."""
    await statements.delete_meter(
        connection, organization_id=organization_id, meter=_workflow_meter(workflow_id)
    )


def _workflow_meter(workflow_id: WorkflowId) -> str:
    return f"{statements.WORKFLOW_METER_PREFIX}{workflow_id}"
