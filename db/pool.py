"""Connections to Postgres. JSON and JSONB columns are converted from and to Python objects."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import Any, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from pagemill.errors import Unavailable

Pool: TypeAlias = asyncpg.Pool

# JSONB's binary form is this version byte and the text.
JSONB_VERSION = b"\x01"
CONNECT_SECONDS = 10.0
ACQUIRE_SECONDS = 10.0
"""Longest wait for a connection of a pool."""
COMMAND_SECONDS = 60.0
PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""A session for connections that run a few large statements over and over. Left to itself, Postgres plans
them anew each time, for up to half of their time; planned once, they must not look at a whole table because
that was small then."""


def _encode(value: Any) -> bytes:
    return JSONB_VERSION + msgspec.json.encode(value)


def _decode(value: bytes) -> Any:
    return msgspec.json.decode(value[1:])


async def prepare(connection: asyncpg.Connection) -> None:
    """Make a new connection convert JSON and JSONB."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode, decoder=_decode, format="binary"
    )
    await connection.set_type_codec(
        "json",
        schema="pg_catalog",
        encoder=msgspec.json.encode,
        decoder=msgspec.json.decode,
        format="binary",
    )


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Leave a connection as it is when it goes back to its pool: no statement changes its session.

    LISTEN and session locks have connections of their own, and asyncpg itself rolls back open transactions.
    Its default is one more round trip to Postgres for each request.
    """


async def create_pool(
    database_url: str,
    *,
    size: int = 10,
    application_name: str = "pagemill",
    session: Mapping[str, str] | None = None,
) -> Pool:
    """Create a pool, which opens connections when they are needed.

    It can be created while Postgres is away. ``session`` are settings of Postgres for its connections.
    """
    return await asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=size,
        init=prepare,
        reset=_keep_session,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": application_name, "timezone": "UTC", **(session or {})},
    )


class PoolExhausted(Unavailable):
    """All connections of a pool stayed in use for ``ACQUIRE_SECONDS``."""

    def __init__(
        self,
        message: str = "All connections to the database are in use; try again later",
        *,
        detail: str | None = None,
    ) -> None:
        super().__init__(message, detail=detail)


class Acquisition:
    """An acquired connection: ``async with`` gives it back at the end, after ``await`` the caller does."""

    __slots__ = ("_context", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # Only waiting needs a timer, and an idle connection is there at once.
        self._context = pool.acquire(timeout=None if pool.get_idle_size() else ACQUIRE_SECONDS)

    def __await__(self) -> Generator[Any, None, PoolConnectionProxy]:
        try:
            return (yield from self._context.__await__())
        except TimeoutError:
            self._check_exhausted()
            raise

    async def __aenter__(self) -> PoolConnectionProxy:
        try:
            return await self._context.__aenter__()
        except TimeoutError:
            self._check_exhausted()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._context.__aexit__(kind, error, trace)

    def _check_exhausted(self) -> None:
        if self._pool.get_size() >= self._pool.get_max_size():
            raise PoolExhausted from None


def acquire(pool: Pool) -> Acquisition:
    """Acquire a connection, within ``ACQUIRE_SECONDS``.

    Raises PoolExhausted when all stay in use, and other CONNECTION_ERRORS when Postgres cannot be reached.
    """
    return Acquisition(pool)


async def connect(
    database_url: str, *, application_name: str = "pagemill", statement_seconds: float | None = None
) -> asyncpg.Connection:
    """Open a connection outside any pool: for LISTEN, and for short tools.

    Postgres ends a statement that takes longer than ``statement_seconds``, also when nobody waits any more.
    """
    limit = {} if statement_seconds is None else {"statement_timeout": f"{statement_seconds * 1000:.0f}"}
    connection = await asyncpg.connect(
        database_url,
        timeout=CONNECT_SECONDS,
        server_settings={"application_name": application_name, "timezone": "UTC", **limit},
    )
    await prepare(connection)
    return connection


CONNECTION_ERRORS: tuple[type[BaseException], ...] = (
    PoolExhausted,
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TooManyConnectionsError,
)
"""Errors when Postgres is away, starting up or shutting down, a connection broke, or none is free."""

DATABASE_ERRORS: tuple[type[BaseException], ...] = (*CONNECTION_ERRORS, asyncpg.PostgresError)
"""Every error of the database: also a statement that was refused."""
