"""The ledger in Postgres that the combiner writes to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from db import jobs as job_statements
from db import usage as statements
from db.statements import Connection
from pagemill.usage.combiner import Exceeded, Reservation, Standing, Transaction
from pagemill.usage.meters import current_month, period_of, to_decimal


class PostgresTransaction:
    """What happens on one connection between BEGIN and COMMIT, in the month that it begins in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._month = current_month()

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[str]:
        return await _count(self._connection, reservations, self._month)

    async def standing(self, reservations: Sequence[Reservation]) -> Standing:
        organizations = [one.organization_id for one in reservations]
        jobs = [one.job_id for one in reservations]
        counters = sorted({(one.organization_id, meter) for one in reservations for meter in one.amounts})
        # All jobs are locked before any counter, as whoever ends jobs does.
        open_jobs = await job_statements.LOCK_OPEN_AMONG.fetch(self._connection, organizations, jobs)
        granted = await statements.RESERVED_AMONG.fetch(self._connection, jobs)
        room = await statements.LOCK_ROOM.fetch(
            self._connection,
            [organization_id for organization_id, _ in counters],
            [period_of(meter, self._month) for _, meter in counters],
            [meter for _, meter in counters],
        )
        return Standing(
            frozenset(row["id"] for row in open_jobs),
            frozenset((row["job_id"], row["meter"]) for row in granted),
            {(row["organization_id"], row["meter"]): row["room"] for row in room},
        )


class PostgresLedger:
    """Counts on connections of a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[str]:
        async with self._pool.acquire() as connection:
            return await _count(connection, reservations, current_month())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield PostgresTransaction(connection)


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
            raise Exceeded from error
        raise
    return frozenset(ended_jobs)
