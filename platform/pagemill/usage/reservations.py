"""Reservations: units that are granted to a job before it uses them.

A job is granted its units once for all its attempts. At its end they are settled, or refunded when it failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from db import usage as statements
from db.statements import Connection
from pagemill.errors import PagemillError
from pagemill.ids import JobId, OrganizationId
from pagemill.usage.limits import limit_exceeded
from pagemill.usage.meters import Amount, Meter, current_month, period_of, to_decimal


class JobEnded(PagemillError):
    """The job has ended, or another attempt has it: nothing can be reserved, and no result is taken."""


class JobOf(NamedTuple):
    """A job and its organization."""

    organization_id: OrganizationId
    id: JobId


class UsedUnits(NamedTuple):
    """Units that jobs have used, in columns: a row for each job and meter."""

    job_ids: list[JobId]
    months: list[str]
    meters: list[str]
    amounts: list[Decimal]


async def reserve(
    connection: Connection,
    organization_id: OrganizationId,
    job_id: JobId,
    amounts: Mapping[Meter, Amount],
    *,
    at: datetime | None = None,
) -> None:
    """Reserve units for a job; what it has reserved before is not counted again.

    The caller's transaction has to have queued or locked the job, so that it cannot end meanwhile; a running
    job reserves through a usage counter instead. Raises LimitExceeded. Parts may be counted then: the caller
    has to roll its transaction back.
    """
    month = current_month(at)
    # One order for everybody: transactions that lock the same counters must not wait in a ring.
    meters = sorted(amounts)
    reserved = await statements.insert_reservations(
        connection,
        organization_id=organization_id,
        job_id=job_id,
        months=[period_of(meter, month) for meter in meters],
        meters=meters,
        amounts=[to_decimal(amounts[meter]) for meter in meters],
    )
    for row in sorted(reserved, key=lambda row: row.meter):
        counted = await statements.count_within_plan(
            connection,
            organization_id=organization_id,
            month=row.month,
            meter=row.meter,
            amount=row.amount,
        )
        if counted is None:
            raise limit_exceeded(row.meter)


async def settle(connection: Connection, used: Mapping[JobOf, Mapping[Meter, Amount]]) -> None:
    """Replace the reservations of succeeded jobs by what each used, by meter."""
    units = used_units((job.id, amounts) for job, amounts in used.items())
    await statements.settle_reservations(
        connection,
        organization_ids=[job.organization_id for job in used],
        job_ids=[job.id for job in used],
        used_job_ids=units.job_ids,
        months=units.months,
        meters=units.meters,
        amounts=units.amounts,
    )


def used_units(used: Iterable[tuple[JobId, Mapping[Meter, Amount]]]) -> UsedUnits:
    """Return what jobs have used in this month, as statements take it."""
    month, units = current_month(), UsedUnits([], [], [], [])
    for job_id, amounts in used:
        for meter, amount in amounts.items():
            units.job_ids.append(job_id)
            units.months.append(period_of(meter, month))
            units.meters.append(meter)
            units.amounts.append(to_decimal(amount))
    return units


async def refund(connection: Connection, organization_id: OrganizationId, job_id: JobId) -> None:
    """Return all units that a failed or cancelled job has reserved, in the month it reserved them in."""
    reservations = await statements.take_reservations(
        connection, organization_id=organization_id, job_id=job_id
    )
    for row in sorted(reservations, key=lambda row: (row.month, row.meter)):
        await statements.uncount(
            connection,
            organization_id=organization_id,
            month=row.month,
            meter=row.meter,
            amount=row.amount,
        )
