"""REST resource ``/roles`` (read only), and the check for giving roles to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec
from litestar import Controller, get
from litestar.params import Parameter
from msgspec import Meta

from db import roles as statements
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.auditing import AuditedRequest
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import Audited, ResponseStruct, timestamp
from pagemill.errors import BadRequest, Forbidden, NotFound
from pagemill.ids import RoleId
from pagemill.permissions import Permission, PermissionSet

MOST_ROLES = 100

ValidRoleIds: TypeAlias = Annotated[
    list[Annotated[RoleId, Meta(pattern=r"^las:role:[0-9A-Za-z-_]{1,32}$")]], Meta(max_length=MOST_ROLES)
]
RolePath = Annotated[RoleId, Parameter(description="las:role:<name>")]


class Role(Audited, kw_only=True):
    """A role and the permissions that it gives."""

    role_id: RoleId
    name: str | None
    description: str | None
    permissions: list[Permission]


class Roles(ResponseStruct):
    """A page of roles."""

    roles: list[Role]
    next_token: str | None


def to_role(row: statements.RoleRow) -> Role:
    """Return a role as the API shows it."""
    return Role(
        role_id=row.id,
        name=row.name,
        description=row.description,
        permissions=msgspec.convert(row.permissions, list[Permission]),
        created_time=timestamp(row.created_time),
        created_by=None,
        updated_time=None,
        updated_by=None,
    )


async def roles_to_give(
    connection: Connection, permissions: PermissionSet, role_ids: Sequence[RoleId], audited: AuditedRequest
) -> list[RoleId]:
    """Return the roles, each once, that a caller with these permissions gives to a principal.

    A principal without roles may do everything, so giving none takes the permission to delegate every role.
    The audit tells which roles were given.

    Raises BadRequest for a role that does not exist, and Forbidden for one that the caller may not delegate.
    """
    wanted = list(dict.fromkeys(role_ids))
    if wanted:
        known = await statements.find_roles(connection, role_ids=wanted)
        for role_id in wanted:
            if role_id not in known:
                raise BadRequest(f"roleIds: role {role_id} does not exist")
    require_delegation(permissions, wanted)
    audited.details["roleIds"] = wanted
    return wanted


def require_delegation(permissions: PermissionSet, role_ids: Sequence[RoleId]) -> None:
    """Check that a caller may act for a principal with these roles; without any it may do everything.

    No role at all takes that none is denied, because it is more than any of them. Raises Forbidden.
    """
    if role_ids:
        allowed = all(permissions.allows(role_id, "delegate") for role_id in role_ids)
    else:
        allowed = permissions.allows_all("role", "delegate")
    if not allowed:
        raise Forbidden


class RoleController(Controller):
    """Operations on roles."""

    path = "/roles"
    tags = ("Roles",)

    @get()
    async def list_roles(self, caller: Caller, connection: RequestConnection, page: PageRequest) -> Roles:
        """List the roles, oldest first.

        Roles are the same for all organizations and cannot be changed. Every installation has
        `las:role:admin`, `las:role:member` and `las:role:validator`.
        """
        rows = await statements.list_roles(
            connection, after_time=page.after_time, after_id=page.after_id, limit=page.limit
        )
        shown, token = cut(rows, page)
        return Roles(roles=[to_role(row) for row in shown], next_token=token)

    @get("/{role_id:str}")
    async def get_role(self, role_id: RolePath, caller: Caller, connection: RequestConnection) -> Role:
        """Get a role and its permissions.

        A permission allows or denies an action (`read`, `write`, `delegate` or `*` for all) on the resources
        whose ids match `resourceId`, in which `*` stands for any text. A principal may do what one
        permission of its roles allows and none denies.
        """
        row = await statements.get_role(connection, role_id=role_id)
        if row is None:
            raise NotFound(f"Role {role_id} not found")
        return to_role(row)
