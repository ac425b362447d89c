"""Reservations: units that are granted to a job before it uses them.

A job is granted its units once for all its attempts. At its end they are settled, or refunded when it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, cast

from db import usage as statements
from db.statements import Connection
from pagemill.errors import PagemillError
from pagemill.ids import JobId, OrganizationId
from pagemill.usage.limits import limit_exceeded
from pagemill.usage.meters import Amount, Meter, current_month, period_of, to_decimal


class JobEnded(PagemillError):
    """The job has ended: nothing can be reserved for it, and its result is not taken."""


class JobOf(NamedTuple):
    """A job and its organization."""

    organization_id: OrganizationId
    id: JobId


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
    month = current_month()
    differences: dict[tuple[JobOf, Meter], tuple[str, Decimal]] = {
        (job, meter): (period_of(meter, month), to_decimal(amount))
        for job, amounts in used.items()
        for meter, amount in amounts.items()
    }
    reservations = await statements.take_reservations_of_many(
        connection,
        organization_ids=[job.organization_id for job in used],
        job_ids=[job.id for job in used],
    )
    for row in reservations:
        key = JobOf(row.organization_id, row.job_id), cast("Meter", row.meter)
        if key in differences:
            differences[key] = row.month, differences[key][1] - row.amount
    sums: dict[OrganizationId, dict[tuple[str, str], Decimal]] = {}
    for (job, meter), (period, difference) in differences.items():
        of_organization = sums.setdefault(job.organization_id, {})
        of_organization[meter, period] = of_organization.get((meter, period), Decimal(0)) + difference
    for organization_id, of_organization in sorted(sums.items()):
        await _adjust(connection, organization_id, of_organization)


async def refund(connection: Connection, organization_id: OrganizationId, job_id: JobId) -> None:
    """Return all units that a failed or cancelled job has reserved, in the month it reserved them in."""
    reservations = await statements.take_reservations(
        connection, organization_id=organization_id, job_id=job_id
    )
    differences = {(row.meter, row.month): -row.amount for row in reservations}
    await _adjust(connection, organization_id, differences)


async def _adjust(
    connection: Connection,
    organization_id: OrganizationId,
    differences: Mapping[tuple[str, str], Decimal],
) -> None:
    """Add to, or subtract from, counters by meter and month."""
    for (meter, month), difference in sorted(differences.items()):
        change = statements.count_freely if difference > 0 else statements.uncount
        if difference != 0:
            await change(
                connection,
                organization_id=organization_id,
                month=month,
                meter=meter,
                amount=abs(difference),
            )
