"""Creation of the first organization, its plan and app client, and the roles; it can be repeated."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import asyncpg

from db.app_clients import APP_CLIENT_EXISTS, INSERT_APP_CLIENT
from db.deployment_environments import INSERT_DEPLOYMENT_ENVIRONMENT
from db.organizations import DOCUMENT_RETENTION_IN_DAYS, get_organization, insert_organization
from db.plans import upsert_plan
from db.pool import CONNECTION_ERRORS, connect
from db.roles import UPSERT_ROLE
from db.statements import Connection
from pagemill.api.auth.client_credentials import hash_secret
from pagemill.api.auth.seeded_roles import ROLES
from pagemill.ids import OrganizationId, PlanId
from pagemill.stack.directory import Credentials, StackError
from pagemill.usage.counting import count_freely

PLAN_SLUG = "las:plan:self-hosted"
PLAN_VERSION = 1
PLAN_ID = PlanId(f"{PLAN_SLUG}:{PLAN_VERSION}")
DEPLOYMENT_ENVIRONMENT = (
    "las:deployment-environment:self-hosted",
    None,
    "Self-hosted",
    "The machines of this installation",
    1,
    "available",
)


def check_database(database_url: str) -> None:
    """Connect once. Raises StackError when the database cannot be used."""
    with _database_errors("the database cannot be used"):
        asyncio.run(_connect_once(database_url))


async def _connect_once(database_url: str) -> None:
    await (await connect(database_url, application_name="pagemill-bootstrap")).close()


def bootstrap(database_url: str, credentials: Credentials) -> None:
    """Create the first organization and its app client. Raises StackError.

    Call it without a running event loop.
    """
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
    """Update the plan and the roles; insert the organization and its app client unless they exist."""
    await upsert_plan(
        connection,
        plan_id=PLAN_ID,
        slug=PLAN_SLUG,
        version=PLAN_VERSION,
        organization_id=None,
        name="Self-hosted",
        description="Everything, without limits",
        available=True,
        currency="EUR",
        limited_by="pages",
        definition={},
        allowed={},
    )
    await seed_roles(connection)
    await INSERT_DEPLOYMENT_ENVIRONMENT.execute(connection, *DEPLOYMENT_ENVIRONMENT)
    organization_id = OrganizationId(credentials.organization_id)
    if await get_organization(connection, organization_id=organization_id) is None:
        await insert_organization(
            connection,
            organization_id=organization_id,
            name="My organization",
            description=None,
            plan_id=PLAN_ID,
            document_retention_in_days=DOCUMENT_RETENTION_IN_DAYS,
        )
    if not await APP_CLIENT_EXISTS.fetch_value(
        connection, credentials.organization_id, credentials.app_client_id
    ):
        await INSERT_APP_CLIENT.execute(
            connection,
            credentials.organization_id,
            credentials.app_client_id,
            credentials.client_id,
            hash_secret(credentials.client_secret),
            "First app client",
            "Made by pagemill up",
            {},
            [],
            None,
        )
        await count_freely(connection, organization_id, "app-clients")


async def seed_roles(connection: Connection) -> None:
    """Insert or update the roles that every installation has."""
    for role_id, role in ROLES.items():
        await UPSERT_ROLE.execute(connection, role_id, *role)
