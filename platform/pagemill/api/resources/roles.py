"""Roles: ``/roles`` (read only), and giving them to others."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import asyncpg
import msgspec
from litestar import Controller, get
from msgspec import Meta

from db.roles import GET_ROLE, KNOWN_ROLES, LIST_ROLES
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.permissions import Permission, PermissionSet
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import Audited, ResponseStruct, timestamp
from pagemill.errors import BadRequest, Forbidden, NotFound

MOST_ROLES = 100
ANY_ROLE = "las:role:*"

ValidRoleIds: TypeAlias = Annotated[
    list[Annotated[str, Meta(pattern=r"^las:role:[0-9A-Za-z-_]{1,32}$")]], Meta(max_length=MOST_ROLES)
]


class Role(Audited, kw_only=True):
    role_id: str
    name: str | None
    description: str | None
    permissions: list[Permission]


class Roles(ResponseStruct):
    roles: list[Role]
    next_token: str | None


def to_role(row: asyncpg.Record) -> Role:
    return Role(
        role_id=row["id"],
        name=row["name"],
        description=row["description"],
        permissions=msgspec.convert(row["permissions"], list[Permission]),
        created_time=timestamp(row["created_time"]),
        created_by=None,
        updated_time=None,
        updated_by=None,
    )


async def delegated(connection: Connection, permissions: PermissionSet, role_ids: list[str]) -> list[str]:
    """The roles to give to a principal, each once. To give none gives everything, so it takes every role.

    Raises BadRequest for a role that does not exist, and Forbidden for one that the caller may not give.
    """
    wanted = list(dict.fromkeys(role_ids))
    if wanted:
        known = {row["id"] for row in await KNOWN_ROLES.fetch(connection, wanted)}
        for role_id in wanted:
            if role_id not in known:
                raise BadRequest(f"roleIds: role {role_id} does not exist")
    if not all(permissions.allows(role_id, "delegate") for role_id in wanted or [ANY_ROLE]):
        raise Forbidden
    return wanted


class RoleController(Controller):
    path = "/roles"
    tags = ("Roles",)

    @get()
    async def list_roles(self, caller: Caller, connection: RequestConnection, page: PageRequest) -> Roles:
        rows = await LIST_ROLES.fetch(connection, *page.after, page.limit)
        shown, token = cut(rows, page)
        return Roles(roles=[to_role(row) for row in shown], next_token=token)

    @get("/{role_id:str}")
    async def get_role(self, role_id: str, caller: Caller, connection: RequestConnection) -> Role:
        row = await GET_ROLE.fetch_one(connection, role_id)
        if row is None:
            raise NotFound(f"Role {role_id} not found")
        return to_role(row)
