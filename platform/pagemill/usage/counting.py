"""Counting against the plan: each count is one guarded statement, so no two callers share a last unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

import asyncpg
import msgspec

from db import jobs as job_statements
from db import usage as statements
from db.statements import Connection
from pagemill.errors import LimitExceeded, PagemillError
from pagemill.usage.meters import (
    METERS,
    UNLIMITED,
    Amount,
    LimitedBy,
    Meter,
    current_month,
    period_of,
    to_decimal,
)


class JobEnded(PagemillError):
    """Nothing can be reserved for a job that has ended: the caller is late, nor is its result taken."""


class JobOf(NamedTuple):
    """A job, and whose it is."""

    organization_id: str
    id: str


class Usage(msgspec.Struct, frozen=True):
    """What an organization used this month, or in all, and what its plan allows, for every meter."""

    used: dict[Meter, float]
    allowed: dict[Meter, float]
    limited_by: LimitedBy
    """Which of pages and fields the plan limits; the other is counted without a limit."""


def limit_exceeded(meter: str) -> LimitExceeded:
    return LimitExceeded(detail=f"the plan allows no more {meter}")


async def count(
    connection: Connection,
    organization_id: str,
    meter: Meter,
    amount: Amount = 1,
    *,
    at: datetime | None = None,
) -> None:
    """Count ``amount`` units, all or none. Raises LimitExceeded when the plan does not allow them."""
    period = period_of(meter, current_month(at))
    exact = to_decimal(amount)
    if await statements.COUNT_GUARDED.fetch_value(connection, organization_id, period, meter, exact) is None:
        raise limit_exceeded(meter)


async def count_freely(
    connection: Connection,
    organization_id: str,
    meter: Meter,
    amount: Amount = 1,
    *,
    at: datetime | None = None,
) -> None:
    """Count what has been used already, whatever the plan allows."""
    period = period_of(meter, current_month(at))
    await statements.COUNT_FREELY.execute(connection, organization_id, period, meter, to_decimal(amount))


async def count_workflow_execution(
    connection: Connection,
    organization_id: str,
    workflow_id: str,
    *,
    allowed: int | None,
    at: datetime | None = None,
) -> None:
    """Count an execution for the organization, and for its workflow, which may have a limit of its own.

    Raises LimitExceeded.
    """
    await count(connection, organization_id, "workflow-executions", at=at)
    meter = workflow_meter(workflow_id)
    limit = UNLIMITED if allowed is None else allowed
    counted = await statements.COUNT_WITHIN.fetch_value(
        connection, organization_id, current_month(at), meter, Decimal(1), Decimal(limit)
    )
    if counted is None:
        raise limit_exceeded("workflow-executions of this workflow")


async def forget_workflow(connection: Connection, organization_id: str, workflow_id: str) -> None:
    """Remove what was counted for a workflow alone."""
    await statements.FORGET_METER.execute(connection, organization_id, workflow_meter(workflow_id))


def workflow_meter(workflow_id: str) -> str:
    """Under which meter the executions of one workflow are kept; ``db/workflows.py`` reads it too."""
    return f"workflow-executions {workflow_id}"


async def count_active_model(
    connection: Connection, organization_id: str, model_id: str, *, at: datetime | None = None
) -> None:
    """Count a model that was used; each counts once a month."""
    await statements.COUNT_ACTIVE_MODEL.execute(connection, organization_id, current_month(at), model_id)


async def uncount(
    connection: Connection,
    organization_id: str,
    meter: Meter,
    amount: Amount = 1,
    *,
    at: datetime | None = None,
) -> None:
    """Give units back; the counter stays at zero when there are fewer."""
    period = period_of(meter, current_month(at))
    await statements.UNCOUNT.execute(connection, organization_id, period, meter, to_decimal(amount))


async def reserve(
    connection: Connection,
    organization_id: str,
    job_id: str,
    amounts: Mapping[Meter, Amount],
    *,
    at: datetime | None = None,
) -> None:
    """Count ``amounts`` for a job, all or none; what it has reserved before is not counted again.

    Raises LimitExceeded when the plan does not allow them and JobEnded for a job that is not open. Either
    leaves nothing behind in the caller's transaction.
    """
    async with connection.transaction():
        if job_id not in await lock_open_jobs(connection, organization_id, [job_id]):
            raise JobEnded("The job has ended")
        denied = await reserve_together(connection, organization_id, {job_id: amounts}, at=at)
        if denied is not None:
            raise limit_exceeded(denied)


async def reserve_for_new(
    connection: Connection, organization_id: str, job_id: str, amounts: Mapping[Meter, Amount]
) -> None:
    """The same for a job that the caller's transaction has queued itself: nobody else knows of it yet.

    Raises LimitExceeded; the caller's transaction must not be committed then.
    """
    denied = await reserve_together(connection, organization_id, {job_id: amounts})
    if denied is not None:
        raise limit_exceeded(denied)


async def check_limited_meter(connection: Connection, organization_id: str) -> None:
    """Raises LimitExceeded when nothing is left of the pages or fields, whichever the plan limits."""
    limited = await statements.LIMITED_METER.fetch_one(connection, organization_id, current_month())
    if limited is not None and limited["used_up"]:
        raise LimitExceeded(detail=f"{limited['meter']} of this month are used up")


async def lock_open_jobs(connection: Connection, organization_id: str, job_ids: list[str]) -> set[str]:
    """Which of the jobs are open; they cannot end before the transaction does."""
    return {row["id"] for row in await job_statements.LOCK_OPEN.fetch(connection, organization_id, job_ids)}


async def reserve_together(
    connection: Connection,
    organization_id: str,
    wanted: Mapping[str, Mapping[Meter, Amount]],
    *,
    at: datetime | None = None,
) -> Meter | None:
    """Count what several (open) jobs want with one guarded statement for each meter.

    Returns the meter that does not allow it, None when all is counted. A refusal leaves parts behind: the
    caller rolls its (inner) transaction back.
    """
    month = current_month(at)
    new = await statements.RESERVE.fetch(connection, organization_id, *_columns(wanted, month))
    sums: dict[tuple[Meter, str], Decimal] = {}
    for row in new:
        key = (row["meter"], row["month"])
        sums[key] = sums.get(key, Decimal(0)) + row["amount"]
    # One order for everybody: transactions that lock the same counters must not wait in a ring.
    for (meter, period), total in sorted(sums.items()):
        granted = await statements.COUNT_GUARDED.fetch_value(
            connection, organization_id, period, meter, total
        )
        if granted is None:
            return meter
    return None


def _columns(wanted: Mapping[str, Mapping[Meter, Amount]], month: str) -> tuple[list[Any], ...]:
    rows = [
        (job_id, period_of(meter, month), meter, to_decimal(amount))
        for job_id, amounts in sorted(wanted.items())
        for meter, amount in sorted(amounts.items())
    ]
    return tuple([row[column] for row in rows] for column in range(4))


async def settle(connection: Connection, used: Mapping[JobOf, Mapping[Meter, Amount]]) -> None:
    """Make the reservations of succeeded jobs final; ``used`` is what each really took, by meter."""
    month = current_month()
    differences: dict[tuple[JobOf, Meter], tuple[str, Decimal]] = {
        (job, meter): (period_of(meter, month), to_decimal(amount))
        for job, amounts in used.items()
        for meter, amount in amounts.items()
    }
    taken = await statements.TAKE_RESERVATIONS_OF_MANY.fetch(
        connection, [job.organization_id for job in used], [job.id for job in used]
    )
    for row in taken:
        key = JobOf(row["organization_id"], row["job_id"]), cast("Meter", row["meter"])
        if key in differences:
            differences[key] = row["month"], differences[key][1] - row["amount"]
    sums: dict[str, dict[tuple[Meter, str], Decimal]] = {}
    for (job, meter), (period, difference) in differences.items():
        of_organization = sums.setdefault(job.organization_id, {})
        of_organization[meter, period] = of_organization.get((meter, period), Decimal(0)) + difference
    for organization_id, of_organization in sorted(sums.items()):
        await _adjust(connection, organization_id, of_organization)


async def refund(connection: Connection, organization_id: str, job_id: str) -> None:
    """Give back all that a failed or cancelled job has reserved, in the month it was reserved in."""
    reserved = await statements.TAKE_RESERVATIONS.fetch(connection, organization_id, job_id)
    await _adjust(
        connection, organization_id, {(row["meter"], row["month"]): -row["amount"] for row in reserved}
    )


async def _adjust(
    connection: Connection, organization_id: str, differences: Mapping[tuple[Meter, str], Decimal]
) -> None:
    for (meter, period), difference in sorted(differences.items()):
        if difference > 0:
            await statements.COUNT_FREELY.execute(connection, organization_id, period, meter, difference)
        elif difference < 0:
            await statements.UNCOUNT.execute(connection, organization_id, period, meter, -difference)


async def usage_of(connection: Connection, organization_id: str, *, at: datetime | None = None) -> Usage:
    """What the organization used and may use; meters that never counted are 0."""
    counted = await statements.USED.fetch(connection, organization_id, current_month(at), list(METERS))
    plan = await statements.PLAN_LIMITS.fetch_one(connection, organization_id)
    return _usage(counted, plan)


async def usage_of_many(connection: Connection, organization_ids: Sequence[str]) -> dict[str, Usage]:
    """The same for several organizations, of which there must be no unknown one."""
    ids = list(organization_ids)
    counted: dict[str, list[asyncpg.Record]] = {organization_id: [] for organization_id in ids}
    for row in await statements.USED_BY_MANY.fetch(connection, ids, current_month(), list(METERS)):
        counted[row["organization_id"]].append(row)
    plans = await statements.PLAN_LIMITS_OF_MANY.fetch(connection, ids)
    return {row["organization_id"]: _usage(counted[row["organization_id"]], row) for row in plans}


def _usage(counted: Sequence[asyncpg.Record], plan: asyncpg.Record | None) -> Usage:
    used = {row["meter"]: float(row["used"]) for row in counted}
    allowed = (plan["allowed"] if plan else None) or {}
    return Usage(
        used={meter: used.get(meter, 0.0) for meter in METERS},
        allowed={meter: float(allowed.get(meter, UNLIMITED)) for meter in METERS},
        limited_by=(plan["limited_by"] if plan else None) or "pages",
    )
