"""Dispatchers as they announce themselves, for operators and for the admission of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from db.statements import Connection, NeverNull, Row, columns, crossing

_NO_TENANT = "a dispatcher works for all organizations; its row has no tenant data"


class DispatcherRow(Row):
    """A dispatcher; ``slots`` and ``running`` are numbers of jobs by kind."""

    name: str
    role: str
    release: str
    owner: str
    listening: bool
    draining: bool
    slots: dict[str, int]
    running: dict[str, int]


@crossing(
    _NO_TENANT,
    """
    INSERT INTO dispatcher (name, role, release, owner, listening, draining, slots, running, expires)
    VALUES (
        :name, :role, :release, :owner, :listening, :draining, :slots, :running,
        now() + :seconds * interval '1 second'
    )
    ON CONFLICT (name) DO UPDATE SET
        role = excluded.role, release = excluded.release, owner = excluded.owner,
        listening = excluded.listening, draining = excluded.draining,
        slots = excluded.slots, running = excluded.running, expires = excluded.expires
    """,
)
async def announce_dispatcher(
    connection: Connection,
    *,
    name: str,
    role: str,
    release: str,
    owner: str,
    listening: bool,
    draining: bool,
    slots: Mapping[str, int],
    running: Mapping[str, int],
    seconds: float,
) -> None:
    """Announce a dispatcher for ``seconds``; its last announcement counts."""


@crossing(_NO_TENANT, "DELETE FROM dispatcher WHERE name = :name AND owner = :owner")
async def delete_dispatcher(connection: Connection, *, name: str, owner: str) -> None:
    """Withdraw what a dispatcher has announced, unless another process has its name."""


@crossing(
    _NO_TENANT,
    """
    DELETE FROM dispatcher WHERE name IN (
        SELECT name FROM dispatcher WHERE expires < now() - interval '1 hour' FOR UPDATE SKIP LOCKED
    )
    """,
)
async def delete_dead_dispatchers(connection: Connection) -> None:
    """Delete what was announced by dispatchers that died an hour ago."""


@crossing(
    _NO_TENANT,
    f"SELECT {columns(DispatcherRow)} FROM dispatcher WHERE expires > now() ORDER BY role, draining, name",
)
async def list_dispatchers(connection: Connection) -> list[DispatcherRow]:
    """Return the dispatchers that are there, by role."""


@crossing(
    _NO_TENANT,
    """
    SELECT coalesce(sum((slots ->> :kind)::integer), 0)::bigint AS slots
    FROM dispatcher WHERE expires > now() AND NOT draining
    """,
)
async def count_slots(
    connection: Connection, *, kind: str
) -> Annotated[int, NeverNull("zero without a dispatcher")]:
    """Return how many jobs of a kind run at a time, by all dispatchers together."""
