"""A real Postgres behind connections that break: statements run one at a time, when the story says so.

The product's side of it (``Pool``, ``Connection``) lives on the simulated loop; the ``asyncpg`` connections
below live on a loop of their own, which runs only while the simulated one stands still.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias

import asyncpg

from db import job_outcomes
from db.statements import REGISTRY
from pagemill.work import predictions as work_predictions
from tests.chaos.simulation.clock import SimulatedLoop
from tests.chaos.simulation.real import RealServer

Fault: TypeAlias = Literal[
    "lost before", "lost after", "killed before", "killed after", "deadlock", "conflict"
]
REFUSALS = {"deadlock": "40P01", "conflict": "40001"}
LISTEN = "LISTEN"
TOLD = """
WITH told AS (DELETE FROM simulation.notification RETURNING channel, payload)
SELECT channel, payload FROM told ORDER BY channel, payload
"""


class Asked:
    """A statement that a process wants to run, and where the answer goes."""

    def __init__(self, connection: Connection, how: str, sql: str, arguments: tuple[Any, ...]) -> None:
        self.connection, self.how, self.sql, self.arguments = connection, how, sql, arguments
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.fault: Fault | None = None
        self.is_put_off = False

    @property
    def locks(self) -> bool:
        """Whether it may wait for a lock, and be refused for it."""
        return any(word in self.sql for word in ("INSERT", "UPDATE", "DELETE", "FOR SHARE"))

    def __str__(self) -> str:
        process = self.connection.process
        name = process.server.names.get(self.sql, self.sql.strip().partition("\n")[0])
        return f"{process.name} #{self.connection.number} {name} {self.fault or ''}".rstrip()


class Process:
    """One process of the platform. Killed, nothing of it does anything any more."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name, self.dead = server, name, False
        self.died = asyncio.Event()
        self.connections: list[Connection] = []
        # Somebody must hold what is never answered: what waits for it would be taken apart with it, and run
        # its ``finally``.
        self.asked: list[Asked] = []
        self._never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        server.processes.append(self)

    def kill(self) -> None:
        """As kill -9: what has not been committed is rolled back."""
        if not self.dead:
            self.server.note(f"{self.name} is killed")
            self.dead = True
            self.died.set()
            for connection in list(self.connections):
                connection.break_off()

    async def lives(self) -> None:
        """Returns at once, or never."""
        if self.dead:
            await self._never


class Server:
    """The server during one story. ``away_until`` is in simulated time, ``epoch`` in microseconds."""

    def __init__(
        self, real: RealServer, loop: SimulatedLoop, *, epoch: int, delay: Callable[[], float]
    ) -> None:
        self._real, self._loop, self._epoch, self._delay = real, loop, epoch, delay
        self.names = {statement.sql: name for name, statement in REGISTRY.items()}
        self.processes: list[Process] = []
        self.asked: list[Asked] = []
        self._waiter: tuple[Asked, asyncio.Task[Any]] | None = None
        """The statement that waits for a lock."""
        self.left: list[Connection] = []
        """Connections that are broken, and whose transactions Postgres has not rolled back yet."""
        self.written: list[tuple[str, str]] = []
        """Jobs that were ended or given back, and the attempts that said so."""
        self.history: list[str] = []
        self.away_until = 0.0
        self._connections = 0

    def note(self, what: str) -> None:
        self.history.append(f"{self._loop.now:10.3f}  {what}")

    @property
    def clock(self) -> int:
        return self._epoch + 1000 * round(self._loop.now * 1000)

    def go_away(self, seconds: float) -> None:
        """Every connection breaks; new ones are refused until the time has passed."""
        self.note(f"Postgres is away for {seconds:g} s")
        self.away_until = self._loop.now + seconds
        for process in self.processes:
            for connection in list(process.connections):
                connection.break_off()

    def connect(self, process: Process) -> Connection:
        if self._loop.now < self.away_until:
            raise ConnectionRefusedError("Postgres is away")
        self._connections += 1
        return Connection(self, process, self._connections)

    # What follows is called while the simulated loop stands still.

    def answer(self, asked: Asked, fault: Fault | None) -> None:
        """It is the turn of one of ``asked``: run it, or let it fail."""
        self.asked.remove(asked)
        asked.fault = fault
        self.note(str(asked))
        match fault:
            case "lost before":
                asked.connection.break_off()
            case "killed before":
                asked.connection.process.kill()
            case _:
                self._run_to_its_end(asked)

    def tidy(self) -> None:
        """Postgres notices whose connection is broken, and who does not wait any more."""
        self.asked = [
            asked for asked in self.asked if not (asked.connection.is_closed() or asked.answer.done())
        ]
        self.left, left = [], self.left
        if self._waiter is not None:
            asked, task = self._waiter
            if asked.connection in left or asked.answer.done():
                self._waiter = None
                self._real.cancel(asked.connection.backend, task)
        for connection in left:
            if connection.real is not None:
                self._real.take_back(connection.real)
                connection.real = None
        if left:
            self._let_go_on()

    def _run_to_its_end(self, asked: Asked) -> None:
        """Unless it waits for a lock.

        Only one statement really waits, so that it is certain which one a lock goes to. Another one that
        would wait is taken back, and has its turn again when a transaction has ended.
        """
        connection = asked.connection
        connection.real = connection.real or self._real.lend()
        if asked.fault in REFUSALS:
            asked.how, asked.sql = "execute", f"SELECT simulation.refuse('{REFUSALS[asked.fault]}')"
            asked.arguments = ()
        kept = self._waiter is not None and asked.locks and connection.is_in_transaction()
        if kept:
            self._real.do(connection.backend.execute("SAVEPOINT simulation"))
        task = self._real.loop.create_task(self._run(asked, connection.backend))
        if not self._real.waits(connection.backend, task):
            self._give(asked, task)
            self._let_go_on()
        elif self._waiter is None:
            self._waiter = asked, task
        else:
            self._real.cancel(connection.backend, task)
            if kept:
                self._real.do(connection.backend.execute("ROLLBACK TO simulation"))
            asked.is_put_off = True
            self.asked.append(asked)

    def _let_go_on(self) -> None:
        """The one that waits may wait no more."""
        if self._waiter is not None:
            asked, task = self._waiter
            if not self._real.waits(asked.connection.backend, task):
                self._waiter = None
                self._give(asked, task)

    async def _run(self, asked: Asked, real: asyncpg.Connection) -> Any:
        sql = asked.sql
        if sql == "BEGIN":
            sql = f"BEGIN; SET LOCAL simulation.now = {self.clock}"
        elif not real.is_in_transaction() and any(word in sql for word in ("now()", "INSERT")):
            await real.execute(f"SET simulation.now = {self.clock}")
        # Whom a notification comes to is the simulation's.
        result = None if sql == LISTEN else await getattr(real, asked.how)(sql, *asked.arguments)
        connection = asked.connection
        connection.written += _written(asked, result)
        connection.tells = connection.tells or "pg_notify" in sql
        if not real.is_in_transaction():
            if result != "ROLLBACK":
                self.written += connection.written
                connection.told = await self._real.admin(TOLD) if connection.tells else []
            connection.written, connection.tells = [], False
        return result

    def _give(self, asked: Asked, task: asyncio.Task[Any]) -> None:
        """Let the product have what Postgres said, if there is still somebody to hear it."""
        connection = asked.connection
        if not connection.is_in_transaction():
            for other in self.asked:
                other.is_put_off = False
        for row in connection.told:
            self._deliver(row["channel"], row["payload"])
        connection.told = []
        match asked.fault:
            case "lost after":
                connection.break_off()
            case "killed after":
                connection.process.kill()
        error = task.exception()
        if connection.process.dead or asked.answer.done():
            return
        if error is None:
            asked.answer.set_result(task.result())
        else:
            asked.answer.set_exception(error)

    def _deliver(self, channel: str, payload: str) -> None:
        """It comes to all who listen, in a moment."""
        for process in self.processes:
            for connection in process.connections:
                for callback in connection.listeners.get(channel, ()):
                    self._loop.call_later(self._delay(), connection.hear, callback, channel, payload)


def _written(asked: Asked, result: Any) -> list[tuple[str, str]]:
    """The jobs that a statement has ended or given back, and the attempts that it named for them."""
    if asked.sql in (job_outcomes.end_succeeded_jobs.sql, work_predictions.end_succeeded_predictions.sql):
        attempts = dict(zip(asked.arguments[1], asked.arguments[2], strict=True))
        return [(row["id"], f"{attempts[row['id']]} ended") for row in result]
    for statement, what in ((job_outcomes.end_job, "ended"), (job_outcomes.retry_job, "queued")):
        if asked.sql == statement.sql and result is not None:
            return [(asked.arguments[1], f"{asked.arguments[2]} {what}")]
    return []


class Connection:
    """The part of asyncpg's connection that the product uses."""

    def __init__(self, server: Server, process: Process, number: int) -> None:
        self._server, self.process, self.number = server, process, number
        self.real: asyncpg.Connection | None = None
        self.written: list[tuple[str, str]] = []
        self.tells = False
        self.told: list[Any] = []
        self.listeners: dict[str, list[Any]] = {}
        self._on_end: list[Callable[[Any], None]] = []
        self._broken = False
        self._depth = 0
        process.connections.append(self)

    def is_closed(self) -> bool:
        return self._broken

    def is_in_transaction(self) -> bool:
        return self.real is not None and bool(self.real.is_in_transaction())

    @property
    def backend(self) -> asyncpg.Connection:
        """The real connection of a statement that is under way."""
        assert self.real is not None
        return self.real

    async def execute(self, sql: str, *arguments: Any) -> str:
        done: str = await self._statement("execute", sql, arguments)
        return done

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        # The order of what a statement returns without ORDER BY is nobody's promise: here it is always one.
        return sorted(await self._statement("fetch", sql, arguments), key=repr)

    async def fetchrow(self, sql: str, *arguments: Any) -> Any:
        return await self._statement("fetchrow", sql, arguments)

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        return await self._statement("fetchval", sql, arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """BEGIN and COMMIT, inside of another one SAVEPOINT and RELEASE."""
        point = f"point_{self._depth}"
        outer = self._depth == 0
        await self._statement("execute", "BEGIN" if outer else f"SAVEPOINT {point}", ())
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if not self._broken:
                await self._statement("execute", "ROLLBACK" if outer else f"ROLLBACK TO {point}", ())
            raise
        self._depth -= 1
        await self._statement("execute", "COMMIT" if outer else f"RELEASE SAVEPOINT {point}", ())

    async def _statement(self, how: str, sql: str, arguments: tuple[Any, ...]) -> Any:
        await self.process.lives()
        if self._broken:
            raise asyncpg.InterfaceError("connection is closed")
        asked = Asked(self, how, sql, arguments)
        self.process.asked.append(asked)
        self._server.asked.append(asked)
        result = await asked.answer
        await self.process.lives()
        return result

    def break_off(self) -> None:
        """The connection is gone; what its transaction did is undone."""
        if self._broken:
            return
        self._broken = True
        self.process.connections.remove(self)
        self._server.left.append(self)
        if not self.process.dead:
            for asked in self.process.asked:
                if asked.connection is self and not asked.answer.done():
                    asked.answer.set_exception(asyncpg.ConnectionDoesNotExistError("connection was closed"))
            for callback in self._on_end:
                callback(self)

    def terminate(self) -> None:
        self.break_off()

    # Listening

    async def add_listener(self, channel: str, callback: Any) -> None:
        await self._statement("execute", LISTEN, ())
        self.listeners.setdefault(channel, []).append(callback)

    def hear(self, callback: Any, channel: str, payload: str) -> None:
        if not self._broken:
            callback(self, 0, channel, payload)

    def add_termination_listener(self, callback: Callable[[Any], None]) -> None:
        self._on_end.append(callback)

    def remove_termination_listener(self, callback: Callable[[Any], None]) -> None:
        self._on_end.remove(callback)


class Pool:
    """Of one process; as asyncpg's, it opens connections when they are asked for."""

    def __init__(self, process: Process, size: int) -> None:
        self._process = process
        self._places = asyncio.Semaphore(size)
        self._size = size
        self._idle: list[Connection] = []

    def get_idle_size(self) -> int:
        return len(self._idle)

    def get_max_size(self) -> int:
        return self._size

    get_size = get_max_size

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncIterator[Connection]:
        async with asyncio.timeout(timeout):
            await self._places.acquire()
        try:
            connection = await self._connection()
            try:
                yield connection
            finally:
                if connection.is_in_transaction():
                    connection.break_off()
                self._idle.append(connection)
        finally:
            self._places.release()

    async def _connection(self) -> Connection:
        await self._process.lives()
        self._idle = [connection for connection in self._idle if not connection.is_closed()]
        return self._idle.pop() if self._idle else self._process.server.connect(self._process)
