"""Creation of the first organization with its plan, app client and roles; repeatable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from db.administration import define_role, grant_to_application, role_of
from db.app_clients import find_app_client_id, insert_app_client
from db.deployment_environments import insert_deployment_environment
from db.migrate import migrate
from db.organizations import DOCUMENT_RETENTION_IN_DAYS, get_organization, insert_organization
from db.plans import upsert_plan
from db.pool import DATABASE_ERRORS, connect
from db.roles import upsert_role
from db.statements import Connection
from pagemill.api.auth.seeded_roles import ROLES
from pagemill.client_credentials import hash_secret
from pagemill.ids import DeploymentEnvironmentId, PlanId
from pagemill.stack.directory import Credentials, StackError
from pagemill.usage.counting import count_freely

PLAN_SLUG = "las:plan:self-hosted"
PLAN_VERSION = 1
PLAN_ID = PlanId(f"{PLAN_SLUG}:{PLAN_VERSION}")
DEPLOYMENT_ENVIRONMENT_ID = DeploymentEnvironmentId("las:deployment-environment:self-hosted")


def check_database(database_url: str) -> None:
    """Connect once. Raises StackError when the database cannot be used."""
    with _database_errors("the database cannot be used"):
        asyncio.run(_connect_once(database_url))


def prepare_schema(owner_url: str, application_url: str) -> None:
    """Bring the schema up to date as its owner, and let the application use it. Raises StackError.

    Both may be the same role, which then owns what it uses. Call it without a running event loop.
    """
    migrate(owner_url)
    if owner_url != application_url:
        with _database_errors("the application's role cannot be given its rights"):
            asyncio.run(_grant(owner_url, application_url))


def define_application(owner_url: str, application_url: str) -> None:
    """Create the role of a URL, or give it the password of the URL, as an owner who may do that.

    Raises StackError. Call it without a running event loop.
    """
    url = urlsplit(application_url)
    if not url.username or url.password is None:
        raise StackError("PAGEMILL_DATABASE_URL names no role with a password")
    with _database_errors("the application's role cannot be made"):
        asyncio.run(define_role(owner_url, unquote(url.username), unquote(url.password)))


async def _grant(owner_url: str, application_url: str) -> None:
    await grant_to_application(owner_url, await role_of(application_url))


async def _connect_once(database_url: str) -> None:
    await (await connect(database_url, application_name="pagemill-bootstrap")).close()


def bootstrap(database_url: str, credentials: Credentials) -> None:
    """Create the first organization and its app client. Raises StackError.

    Call it without a running event loop.
    """
    with _database_errors("the first organization cannot be created"):
        asyncio.run(_bootstrap(database_url, credentials))


REFUSALS: tuple[type[BaseException], ...] = (*DATABASE_ERRORS, ValueError)
"""Errors of the database, or of a URL that is not one."""


@contextlib.contextmanager
def _database_errors(what: str) -> Iterator[None]:
    try:
        yield
    except REFUSALS as error:
        raise StackError(f"{what}: {str(error) or type(error).__name__}") from error


async def _bootstrap(database_url: str, credentials: Credentials) -> None:
    connection = await connect(database_url, application_name="pagemill-bootstrap")
    try:
        async with connection.transaction():
            await create_first_organization(connection, credentials)
    finally:
        await connection.close()


async def create_first_organization(connection: Connection, credentials: Credentials) -> None:
    """Bring plan and roles up to date; add the organization and its app client unless they exist."""
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
    await insert_deployment_environment(
        connection,
        environment_id=DEPLOYMENT_ENVIRONMENT_ID,
        owner=None,
        name="Self-hosted",
        description="The machines of this installation",
        units=1,
        status="available",
    )
    organization_id = credentials.organization_id
    if await get_organization(connection, organization_id=organization_id) is None:
        await insert_organization(
            connection,
            organization_id=organization_id,
            name="My organization",
            description=None,
            plan_id=PLAN_ID,
            document_retention_in_days=DOCUMENT_RETENTION_IN_DAYS,
        )
    if not await find_app_client_id(
        connection, organization_id=credentials.organization_id, app_client_id=credentials.app_client_id
    ):
        await insert_app_client(
            connection,
            organization_id=credentials.organization_id,
            app_client_id=credentials.app_client_id,
            client_id=credentials.client_id,
            secret_hash=hash_secret(credentials.client_secret),
            name="First app client",
            description="Made by pagemill up",
            configuration={},
            role_ids=[],
            created_by=None,
        )
        await count_freely(connection, organization_id, "app-clients")


async def seed_roles(connection: Connection) -> None:
    """Add the roles that every installation has, or bring them up to date."""
    for role_id, role in ROLES.items():
        await upsert_role(
            connection,
            role_id=role_id,
            name=role.name,
            description=role.description,
            permissions=role.permissions,
        )
