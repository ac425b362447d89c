"""Roles, which are the same for all organizations."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from db.statements import Connection, NeverNull, Row, columns, crossing
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


@crossing(SHARED, f"SELECT {columns(RoleRow)} FROM role WHERE id = :role_id FOR UPDATE")
async def lock_role(connection: Connection, *, role_id: RoleId) -> RoleRow | None:
    """Return a role and lock it until the transaction ends."""


class ReportedRoleRow(Row):
    """A role and how many principals have it."""

    id: RoleId
    name: str | None
    permissions: list[dict[str, Any]]
    holders: Annotated[int, NeverNull("count(*)")]


_HOLDERS = """
    (SELECT count(*) FROM app_client WHERE app_client.role_ids @> jsonb_build_array({role_id}))
    + (SELECT count(*) FROM organization_user AS person WHERE person.role_ids @> jsonb_build_array({role_id}))
"""


@crossing(SHARED, f"SELECT {_HOLDERS.format(role_id=':role_id::text')}")
async def count_holders(
    connection: Connection, *, role_id: RoleId
) -> Annotated[int, NeverNull("a sum of counts")]:
    """Return the number of app clients and users that have a role, in all organizations."""


@crossing(
    SHARED,
    f"SELECT id, name, permissions, {_HOLDERS.format(role_id='role.id')} AS holders FROM role ORDER BY id",
)
async def list_all_roles(connection: Connection) -> list[ReportedRoleRow]:
    """Return all roles, with the number of those who have them."""


@crossing(SHARED, "DELETE FROM role WHERE id = :role_id")
async def delete_role(connection: Connection, *, role_id: RoleId) -> None:
    """Delete a role."""
