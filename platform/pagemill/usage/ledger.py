"""The ledger in Postgres that the combiner writes to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from db.statements import Connection
from pagemill.usage.combiner import Reservation, Transaction
from pagemill.usage.counting import lock_open_jobs, reserve_together


class _Refused(Exception):
    """Rolls an inner transaction back."""


class PostgresTransaction:
    """What happens on one connection between BEGIN and COMMIT."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def open_jobs(self, organization_id: str, job_ids: Sequence[str]) -> set[str]:
        return await lock_open_jobs(self._connection, organization_id, list(job_ids))

    async def grant(self, organization_id: str, reservations: Sequence[Reservation]) -> bool:
        wanted = {one.job_id: one.amounts for one in reservations}
        try:
            async with self._connection.transaction():
                if await reserve_together(self._connection, organization_id, wanted) is not None:
                    raise _Refused
        except _Refused:
            return False
        return True


class PostgresLedger:
    """Transactions on connections of a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield PostgresTransaction(connection)
