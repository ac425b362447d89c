"""Reservations in Postgres, as the combiner commits them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from db import jobs as job_statements
from db import usage as statements
from db.pool import acquire
from db.statements import Connection
from pagemill.usage.combiner import BatchExceedsLimit, Reservation, ReservationTransaction, UsageSnapshot
from pagemill.usage.meters import current_month, period_of, to_decimal


class PostgresReservationTransaction:
    """Transaction on one connection; it counts in the month that it begins in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._month = current_month()

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[str]:
        """Count all reservations, or none. Raises BatchExceedsLimit."""
        return await _count(self._connection, reservations, self._month)

    async def lock(self, reservations: Sequence[Reservation]) -> UsageSnapshot:
        """Lock the jobs, then the counters, as transactions that end jobs do."""
        organizations = [one.organization_id for one in reservations]
        jobs = [one.job_id for one in reservations]
        counters = sorted({(one.organization_id, meter) for one in reservations for meter in one.amounts})
        open_jobs = await job_statements.LOCK_OPEN_AMONG.fetch(self._connection, organizations, jobs)
        granted = await statements.RESERVED_AMONG.fetch(self._connection, jobs)
        room = await statements.LOCK_ROOM.fetch(
            self._connection,
            [organization_id for organization_id, _ in counters],
            [period_of(meter, self._month) for _, meter in counters],
            [meter for _, meter in counters],
        )
        return UsageSnapshot(
            frozenset(row["id"] for row in open_jobs),
            frozenset((row["job_id"], row["meter"]) for row in granted),
            {(row["organization_id"], row["meter"]): row["room"] for row in room},
        )


class PostgresReservationStore:
    """Reservation store on the connections of a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[str]:
        """Count and commit all reservations, or none. Raises BatchExceedsLimit."""
        async with acquire(self._pool) as connection:
            return await _count(connection, reservations, current_month())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ReservationTransaction]:
        """Open a transaction on a connection of the pool."""
        async with acquire(self._pool) as connection, connection.transaction():
            yield PostgresReservationTransaction(connection)


async def _count(connection: Connection, reservations: Sequence[Reservation], month: str) -> frozenset[str]:
    rows = [
        (one.organization_id, one.job_id, period_of(meter, month), meter, str(to_decimal(amount)))
        for one in reservations
        for meter, amount in one.amounts.items()
    ]
    try:
        columns = list(zip(*rows, strict=True)) or [()] * 5
        ended_jobs = await statements.RESERVE_TOGETHER.fetch_value(connection, *columns)
    except asyncpg.PostgresError as error:
        if error.sqlstate == statements.EXCEEDED:
            raise BatchExceedsLimit from error
        raise
    return frozenset(ended_jobs)
