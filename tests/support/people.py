"""Principals for tests: users with their profiles, and app clients with roles."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import asyncpg

from db.app_clients import insert_app_client
from db.statements import Connection
from pagemill.client_credentials import new_client_id
from pagemill.ids import AppClientId, OrganizationId, PrincipalId, ProfileId, RoleId, UserId, new_id
from pagemill.stack.bootstrap import seed_roles
from pagemill.usage.counting import count_freely

PrincipalKind = Literal["app-client", "user"]


@dataclass(frozen=True, slots=True)
class Person:
    """An active user of an organization, and the profile behind it."""

    organization_id: OrganizationId
    user_id: UserId
    profile_id: ProfileId
    email: str


async def add_user(
    connection: Connection,
    organization_id: OrganizationId,
    *,
    role_ids: Sequence[RoleId] = (),
    profile_of: Person | None = None,
    status: str = "active",
) -> Person:
    """Add an active user; ``profile_of`` is a person who is a user of another organization."""
    email = profile_of.email if profile_of else f"{uuid.uuid4().hex[:12]}@example.com"
    profile_id = profile_of.profile_id if profile_of else new_id(ProfileId)
    if profile_of is None:
        await connection.execute(
            "INSERT INTO profile (id, email, given_name, family_name) VALUES ($1, $2, 'Ada', 'Lovelace')",
            profile_id,
            email,
        )
    user_id = new_id(UserId)
    await connection.execute(
        """
        INSERT INTO organization_user (organization_id, id, email, profile_id, status, role_ids)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        organization_id,
        user_id,
        email,
        profile_id,
        status,
        list(role_ids),
    )
    await count_freely(connection, organization_id, "users")
    return Person(organization_id, user_id, profile_id, email)


async def add_app_client(
    connection: Connection, organization_id: OrganizationId, *, role_ids: Sequence[RoleId] = ()
) -> AppClientId:
    """Add an app client without a secret and return its id."""
    app_client_id = new_id(AppClientId)
    await insert_app_client(
        connection,
        organization_id=organization_id,
        app_client_id=app_client_id,
        client_id=new_client_id(),
        secret_hash=None,
        name=None,
        description=None,
        configuration={},
        role_ids=list(role_ids),
        created_by=None,
    )
    await count_freely(connection, organization_id, "app-clients")
    return app_client_id


async def add_role(connection: Connection, slug: str, *permissions: tuple[str, str, str]) -> RoleId:
    """Add a role with permissions of (resourceId, action, effect) and return its id."""
    role_id = RoleId(f"las:role:{slug}")
    await connection.execute(
        "INSERT INTO role (id, permissions) VALUES ($1, $2)",
        role_id,
        [
            {"resourceId": resource_id, "action": action, "effect": effect}
            for resource_id, action, effect in permissions
        ],
    )
    return role_id


async def add_principal(
    pool: asyncpg.Pool, organization_id: OrganizationId, kind: PrincipalKind, role_ids: Sequence[RoleId]
) -> PrincipalId:
    """Seed the roles, add a principal with some of them, and return its id."""
    async with pool.acquire() as connection:
        await seed_roles(connection)
        if kind == "app-client":
            return PrincipalId(await add_app_client(connection, organization_id, role_ids=role_ids))
        return PrincipalId((await add_user(connection, organization_id, role_ids=role_ids)).user_id)
