"""Connections to Postgres; JSON and JSONB columns are Python objects on this side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec

# JSONB's binary form is this version byte and the text.
JSONB_VERSION = b"\x01"
CONNECT_SECONDS = 10.0
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
    """JSON and JSONB of a new connection."""
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
    """Nothing to undo when a connection goes back: no statement changes its session.

    LISTEN and session locks have connections of their own, and asyncpg itself rolls back what is open. Its
    default is one more round trip to Postgres for each request.
    """


async def create_pool(
    database_url: str,
    *,
    size: int = 10,
    application_name: str = "pagemill",
    session: Mapping[str, str] | None = None,
) -> asyncpg.Pool:
    """A pool that opens connections when they are needed and waits at most 10 seconds for a new one.

    It can be created while Postgres is away: acquiring then raises OSError or asyncpg.PostgresError.
    ``session`` are settings of Postgres for its connections.
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


async def connect(database_url: str, *, application_name: str = "pagemill") -> asyncpg.Connection:
    """One connection outside any pool: for LISTEN, and for short tools."""
    connection = await asyncpg.connect(
        database_url,
        timeout=CONNECT_SECONDS,
        server_settings={"application_name": application_name, "timezone": "UTC"},
    )
    await prepare(connection)
    return connection


# What asyncpg raises when Postgres is away, starting up, shutting down, or the connection broke.
CONNECTION_ERRORS: tuple[type[BaseException], ...] = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TooManyConnectionsError,
)
