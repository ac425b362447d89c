"""Real connections to Postgres, on a loop that runs only while the simulated one stands still."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from db.pool import connect
from tests.chaos.simulation.schema import SEARCH_PATH

LOCKED_SECONDS = 0.003
"""A statement that has not ended after so much real time may be waiting for a lock."""

# Two that wait for each other do not wait for long.
WAITS = """
SELECT pg_blocking_pids($1) <> '{}' AND NOT EXISTS (
    SELECT FROM unnest(pg_blocking_pids($1)) AS blocking (pid) WHERE $1 = ANY(pg_blocking_pids(blocking.pid))
)
"""


class RealServer:
    """Real connections, which last for many stories, and the loop that they live on."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self.loop = asyncio.new_event_loop()
        self._idle: list[asyncpg.Connection] = []
        self.administration: asyncpg.Connection = self.do(self._connect())
        self._watcher: asyncpg.Connection = self.do(self._connect())

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def admin(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a statement of the simulation's own."""
        rows: list[asyncpg.Record] = await self.administration.fetch(sql, *arguments)
        return rows

    async def script(self, sql: str) -> None:
        await self.administration.execute(sql)

    def waits(self, real: asyncpg.Connection, task: asyncio.Task[Any]) -> bool:
        """Whether a statement waits for a lock; else it has ended."""
        while not task.done():
            self.do(asyncio.wait({task}, timeout=LOCKED_SECONDS))
            if not task.done() and self.do(self._watcher.fetchval(WAITS, real.get_server_pid())):
                return True
        return False

    def cancel(self, real: asyncpg.Connection, task: asyncio.Task[Any]) -> None:
        self.do(self.admin("SELECT pg_cancel_backend($1)", real.get_server_pid()))
        self.do(asyncio.wait({task}))
        task.exception()

    def lend(self) -> asyncpg.Connection:
        return self._idle.pop() if self._idle else self.do(self._connect())

    def take_back(self, real: asyncpg.Connection) -> None:
        """What was not committed is rolled back."""
        if real.is_in_transaction():
            self.do(real.execute("ROLLBACK"))
        self._idle.append(real)

    async def _connect(self) -> asyncpg.Connection:
        connection = await connect(self._database_url, application_name="simulation")
        await connection.execute(
            f"SET search_path = {SEARCH_PATH}; SET deadlock_timeout = '1ms'; SET simulation.now = 0"
        )
        return connection

    def close(self) -> None:
        for real in [*self._idle, self.administration, self._watcher]:
            self.do(real.close())
        self.loop.close()
