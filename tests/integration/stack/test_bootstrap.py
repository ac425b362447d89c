"""The first organization is created once; missing parts of it are added later."""

from __future__ import annotations

import hashlib

import asyncpg
import pytest

from db.app_clients import find_app_client
from db.organizations import get_organization
from db.plans import find_plan
from pagemill.api.auth.seeded_roles import ROLES
from pagemill.ids import AppClientId, OrganizationId
from pagemill.stack.bootstrap import PLAN_SLUG, check_database, create_first_organization
from pagemill.stack.directory import Credentials, StackError

CREDENTIALS = Credentials(
    organization_id=OrganizationId("las:organization:first"),
    app_client_id=AppClientId("las:app-client:first"),
    client_id="abc",
    client_secret="secret",
)


async def test_bootstrap_can_be_repeated(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        for _ in range(2):
            await create_first_organization(connection, CREDENTIALS)
        organization_id = CREDENTIALS.organization_id
        organization = await get_organization(connection, organization_id=organization_id)
        app_client = await find_app_client(connection, client_id=CREDENTIALS.client_id)
        plan = await find_plan(connection, organization_id=organization_id, slug=PLAN_SLUG, version=None)
        roles = await connection.fetch("SELECT id FROM role")
        environments = await connection.fetch("SELECT organization_id, status FROM deployment_environment")
    assert organization is not None
    assert app_client is not None
    assert plan is not None
    assert organization.plan_id == plan.id
    assert app_client.organization_id == CREDENTIALS.organization_id
    assert {row["id"] for row in roles} == set(ROLES)
    assert [tuple(row) for row in environments] == [(None, "available")]


async def test_the_secret_is_not_in_the_database(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await create_first_organization(connection, CREDENTIALS)
        found = await find_app_client(connection, client_id=CREDENTIALS.client_id)
    assert found is not None
    assert found.secret_hash == hashlib.sha256(b"secret").hexdigest()


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "no url at all", "postgresql://127.0.0.1:port/x"]
)
def test_an_unusable_database_is_one_clear_error(url: str) -> None:
    with pytest.raises(StackError, match=r"the database cannot be used: .+"):
        check_database(url)


def test_a_usable_database(database_url: str) -> None:
    check_database(database_url)


def test_a_wrong_password_is_reported(database_url: str) -> None:
    scheme, rest = database_url.split("://")
    user, host = rest.split(":", 1)[0], rest.split("@", 1)[1]
    with pytest.raises(StackError, match="password authentication failed"):
        check_database(f"{scheme}://{user}:wrong@{host}")
