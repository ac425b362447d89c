"""Roles, which are the same for all organizations."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from db.statements import Connection, Row, columns, crossing
from pagemill.ids import RoleId

SHARED = "roles are the same for all organizations"


class RoleRow(Row):
    """A role and its permissions, in the form of the API."""

    id: RoleId
    name: str | None
    description: str | None
    permissions: list[dict[str, Any]]
    created_time: datetime.datetime


@crossing(
    SHARED,
    """
    INSERT INTO role (id, name, description, permissions, created_time)
    VALUES (:role_id, :name, :description, :permissions, now())
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, description = excluded.description, permissions = excluded.permissions
    """,
)
async def upsert_role(
    connection: Connection,
    *,
    role_id: RoleId,
    name: str,
    description: str,
    permissions: Sequence[Mapping[str, str]],
) -> None:
    """Add a role, or bring the one with this id up to date."""


@crossing(SHARED, f"SELECT {columns(RoleRow)} FROM role WHERE id = :role_id")
async def get_role(connection: Connection, *, role_id: RoleId) -> RoleRow | None:
    """Return a role."""


@crossing(
    SHARED,
    f"""
    SELECT {columns(RoleRow)} FROM role
    WHERE (created_time, id) > (
        coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
    )
    ORDER BY created_time, id LIMIT :limit
    """,
)
async def list_roles(
    connection: Connection, *, after_time: datetime.datetime | None, after_id: str | None, limit: int
) -> list[RoleRow]:
    """Return a page of roles, oldest first."""


@crossing(SHARED, "SELECT id FROM role WHERE id = ANY(:role_ids::text[])")
async def find_roles(connection: Connection, *, role_ids: Sequence[RoleId]) -> list[RoleId]:
    """Return which of the roles exist."""
