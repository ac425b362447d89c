"""Counting of what an organization creates and consumes.

Each count is one guarded statement, so no two callers get the same last unit.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from db import usage as statements
from db.statements import Connection
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


async def count_workflow_execution(
    connection: Connection,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    *,
    allowed: int | None,
    at: datetime | None = None,
) -> None:
    """Count an execution for the organization and for its workflow.

    ``allowed`` is the workflow's own limit for a month. Raises LimitExceeded at either limit.
    """
    await count(connection, organization_id, "workflow-executions", at=at)
    counted = await statements.count_within(
        connection,
        organization_id=organization_id,
        month=current_month(at),
        meter=_workflow_meter(workflow_id),
        amount=Decimal(1),
        allowed=Decimal(UNLIMITED if allowed is None else allowed),
    )
    if counted is None:
        raise limit_exceeded("workflow-executions of this workflow")


async def forget_workflow(
    connection: Connection, organization_id: OrganizationId, workflow_id: WorkflowId
) -> None:
    """Delete the counters of a workflow's own executions."""
    await statements.delete_meter(
        connection, organization_id=organization_id, meter=_workflow_meter(workflow_id)
    )


def _workflow_meter(workflow_id: WorkflowId) -> str:
    return f"{statements.WORKFLOW_METER_PREFIX}{workflow_id}"
