"""The first organization with its plan and app client, and the roles: made once, repaired when missing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator

import asyncpg

from db.organizations import (
    APP_CLIENT_EXISTS,
    GET_ORGANIZATION,
    INSERT_APP_CLIENT,
    INSERT_ORGANIZATION,
    UPSERT_PLAN,
    UPSERT_ROLE,
)
from db.pool import CONNECTION_ERRORS, connect
from db.statements import Connection
from pagemill.stack.directory import Credentials, StackError

PLAN_SLUG = "las:plan:self-hosted"
PLAN_VERSION = 1
PLAN_ID = f"{PLAN_SLUG}:{PLAN_VERSION}"
RETENTION_DAYS = 1825

_EVERYTHING = {"resourceId": "*", "action": "*", "effect": "allow"}
_ADMINISTRATION = ("app-client", "organization", "payment-method", "plan", "role", "user")
ROLES: dict[str, tuple[str, str, list[dict[str, str]]]] = {
    "las:role:admin": ("Admin", "Everything, including users, plans and roles", [_EVERYTHING]),
    "las:role:member": (
        "Member",
        "Builds models and workflows, does not administer the organization",
        [
            _EVERYTHING,
            *(
                {"resourceId": f"las:{kind}:*", "action": action, "effect": "deny"}
                for kind in _ADMINISTRATION
                for action in ("write", "delegate")
            ),
        ],
    ),
    "las:role:validator": (
        "Validator",
        "Reviews, corrects and approves",
        [
            {"resourceId": "*", "action": "read", "effect": "allow"},
            {"resourceId": "las:transition-execution:*", "action": "write", "effect": "allow"},
        ],
    ),
}


def check_database(database_url: str) -> None:
    """Raises StackError unless the database lets us in."""
    with _database_errors("the database cannot be used"):
        asyncio.run(_connect_once(database_url))


async def _connect_once(database_url: str) -> None:
    await (await connect(database_url, application_name="pagemill-bootstrap")).close()


def bootstrap(database_url: str, credentials: Credentials) -> None:
    """Run it from a program without an event loop. Raises StackError."""
    with _database_errors("the first organization cannot be created"):
        asyncio.run(_bootstrap(database_url, credentials))


@contextlib.contextmanager
def _database_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, ValueError) as error:
        raise StackError(f"{what}: {str(error) or type(error).__name__}") from error


async def _bootstrap(database_url: str, credentials: Credentials) -> None:
    connection = await connect(database_url, application_name="pagemill-bootstrap")
    try:
        async with connection.transaction():
            await create_first_organization(connection, credentials)
    finally:
        await connection.close()


async def create_first_organization(connection: Connection, credentials: Credentials) -> None:
    """Bring plan and roles up to date; add the organization and its app client unless they are there."""
    await UPSERT_PLAN.execute(
        connection,
        PLAN_ID,
        PLAN_SLUG,
        PLAN_VERSION,
        None,
        "Self-hosted",
        "Everything, without limits",
        True,
        "EUR",
        "pages",
        {},
        {},
    )
    for role_id, (name, description, permissions) in ROLES.items():
        await UPSERT_ROLE.execute(connection, role_id, name, description, permissions)
    if await GET_ORGANIZATION.fetch_one(connection, credentials.organization_id) is None:
        await INSERT_ORGANIZATION.execute(
            connection, credentials.organization_id, "My organization", None, PLAN_ID, RETENTION_DAYS
        )
    if not await APP_CLIENT_EXISTS.fetch_value(
        connection, credentials.organization_id, credentials.app_client_id
    ):
        await INSERT_APP_CLIENT.execute(
            connection,
            credentials.organization_id,
            credentials.app_client_id,
            credentials.client_id,
            hashlib.sha256(credentials.client_secret.encode()).hexdigest(),
            "First app client",
            "Made by pagemill up",
            {},
            [],
            None,
        )
