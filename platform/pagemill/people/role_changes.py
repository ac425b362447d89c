"""Roles that an operator defines and removes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from db import roles as statements
from db.statements import Connection
from pagemill.audit.events import OPERATOR, AuditEvent, record
from pagemill.ids import RoleId
from pagemill.people.role_file import RoleDefinition, RoleFileError

RoleChange: TypeAlias = Literal["new", "changed", "unchanged"]


async def define_roles(
    connection: Connection,
    roles: Sequence[RoleDefinition],
    *,
    kept: Collection[RoleId],
    dry_run: bool = False,
) -> dict[RoleId, RoleChange]:
    """Insert or change roles, all or none; return what happened, or would happen, to each.

    A change counts with the next request of whoever has the role. ``kept`` are roles that are not the
    operator's. Raises RoleFileError.
    """
    changes: dict[RoleId, RoleChange] = {}
    async with connection.transaction():
        for role in roles:
            _refuse_kept(role.role_id, kept)
            changes[role.role_id] = change = await _change_of(connection, role)
            if dry_run or change == "unchanged":
                continue
            await statements.upsert_role(
                connection,
                role_id=role.role_id,
                name=role.name,
                description=role.description,
                permissions=_permissions(role),
            )
            await _record(connection, "defineRole", role.role_id, {"permissions": _permissions(role)})
    return changes


async def remove_role(connection: Connection, role_id: RoleId, *, kept: Collection[RoleId]) -> None:
    """Delete a role that nobody has. Raises RoleFileError."""
    _refuse_kept(role_id, kept)
    async with connection.transaction():
        if await statements.lock_role(connection, role_id=role_id) is None:
            raise RoleFileError(f"there is no role {role_id}")
        holders = await statements.count_holders(connection, role_id=role_id)
        if holders:
            # Without it they could do nothing, or with no role left everything: that is not for a command.
            raise RoleFileError(f"{role_id} is a role of {holders} users or app clients: give them others")
        await statements.delete_role(connection, role_id=role_id)
        await _record(connection, "removeRole", role_id, {})


def _refuse_kept(role_id: RoleId, kept: Collection[RoleId]) -> None:
    if role_id in kept:
        raise RoleFileError(f"{role_id} is a role of every installation and cannot be changed")


async def _change_of(connection: Connection, role: RoleDefinition) -> RoleChange:
    before = await statements.lock_role(connection, role_id=role.role_id)
    if before is None:
        return "new"
    same = (before.name, before.description, before.permissions)
    return "unchanged" if same == (role.name, role.description, _permissions(role)) else "changed"


def _permissions(role: RoleDefinition) -> list[dict[str, Any]]:
    stored: list[dict[str, Any]] = msgspec.to_builtins(role.permissions)
    return stored


async def _record(connection: Connection, action: str, role_id: RoleId, details: dict[str, Any]) -> None:
    await record(
        connection,
        AuditEvent(action=action, principal_id=OPERATOR, resource_id=role_id, details=details),
    )
