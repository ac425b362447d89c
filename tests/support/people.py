"""Principals that tests call as: users with their profiles, and app clients with roles."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import asyncpg

from db.app_clients import INSERT_APP_CLIENT
from db.statements import Connection
from pagemill.api.auth.client_credentials import new_client_id
from pagemill.ids import AppClientId, ProfileId, UserId, new_id
from pagemill.stack.bootstrap import seed_roles
from pagemill.usage.counting import count_freely

PrincipalKind = Literal["app-client", "user"]


@dataclass(frozen=True, slots=True)
class Person:
    """An active user of an organization, and the profile behind it."""

    organization_id: str
    user_id: str
    profile_id: str
    email: str


async def add_user(
    connection: Connection,
    organization_id: str,
    *,
    role_ids: Sequence[str] = (),
    profile_of: Person | None = None,
    status: str = "active",
) -> Person:
    """A user who has signed in; ``profile_of`` makes a person the user of one more organization."""
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
    connection: Connection, organization_id: str, *, role_ids: Sequence[str] = ()
) -> str:
    """The id of an app client without a secret."""
    app_client_id = new_id(AppClientId)
    await INSERT_APP_CLIENT.execute(
        connection,
        organization_id,
        app_client_id,
        new_client_id(),
        None,
        None,
        None,
        {},
        list(role_ids),
        None,
    )
    await count_freely(connection, organization_id, "app-clients")
    return app_client_id


async def add_role(connection: Connection, slug: str, *permissions: tuple[str, str, str]) -> str:
    """A role of an operator's own, of (resourceId, action, effect)."""
    role_id = f"las:role:{slug}"
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
    pool: asyncpg.Pool, organization_id: str, kind: PrincipalKind, role_ids: Sequence[str]
) -> str:
    """The id of a principal with roles, which are seeded first."""
    async with pool.acquire() as connection:
        await seed_roles(connection)
        if kind == "app-client":
            return await add_app_client(connection, organization_id, role_ids=role_ids)
        return (await add_user(connection, organization_id, role_ids=role_ids)).user_id
