"""Reservations in Postgres, as the combiner commits them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import asyncpg

from db import jobs as job_statements
from db import usage as statements
from db.pool import Pool, acquire
from db.statements import Connection
from pagemill.ids import JobId
from pagemill.usage.combiner import BatchExceedsLimit, Reservation, ReservationTransaction, UsageSnapshot
from pagemill.usage.meters import Meter, current_month, period_of, to_decimal


class PostgresReservationTransaction:
    """Transaction on one connection; it counts in the month that it begins in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._month = current_month()

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[JobId]:
        """Count all reservations, or none. Raises BatchExceedsLimit."""
        return await _count(self._connection, reservations, self._month)

    async def lock(self, reservations: Sequence[Reservation]) -> UsageSnapshot:
        """Lock the jobs, then the counters, as transactions that end jobs do."""
        organizations = [one.organization_id for one in reservations]
        jobs = [one.job_id for one in reservations]
        counters = sorted({(one.organization_id, meter) for one in reservations for meter in one.amounts})
        open_jobs = await job_statements.lock_open_jobs_of_many(
            self._connection,
            organization_ids=organizations,
            job_ids=jobs,
            attempts=[one.attempt for one in reservations],
        )
        granted = await statements.list_granted(self._connection, job_ids=jobs)
        remaining = await statements.lock_remaining(
            self._connection,
            organization_ids=[organization_id for organization_id, _ in counters],
            months=[period_of(meter, self._month) for _, meter in counters],
            meters=[meter for _, meter in counters],
        )
        return UsageSnapshot(
            frozenset(open_jobs),
            frozenset((row.job_id, cast("Meter", row.meter)) for row in granted),
            {(row.organization_id, cast("Meter", row.meter)): row.remaining for row in remaining},
        )


class PostgresReservationStore:
    """Reservation store on the connections of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[JobId]:
        """Count and commit all reservations, or none. Raises BatchExceedsLimit."""
        async with acquire(self._pool) as connection:
            return await _count(connection, reservations, current_month())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ReservationTransaction]:
        """Open a transaction on a connection of the pool."""
        async with acquire(self._pool) as connection, connection.transaction():
            yield PostgresReservationTransaction(connection)


async def _count(connection: Connection, reservations: Sequence[Reservation], month: str) -> frozenset[JobId]:
    wanted = [(one, meter, amount) for one in reservations for meter, amount in one.amounts.items()]
    try:
        counted = await statements.count_reservations(
            connection,
            organization_ids=[one.organization_id for one, _, _ in wanted],
            job_ids=[one.job_id for one, _, _ in wanted],
            attempts=[one.attempt for one, _, _ in wanted],
            months=[period_of(meter, month) for _, meter, _ in wanted],
            meters=[meter for _, meter, _ in wanted],
            amounts=[str(to_decimal(amount)) for _, _, amount in wanted],
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate == statements.EXCEEDED_SQLSTATE:
            raise BatchExceedsLimit from error
        raise
    return frozenset(counted.ended_jobs)
