"""Command ``pagemill people``."""

from __future__ import annotations

import asyncio

import asyncpg
from click.testing import CliRunner, Result

from db.users import invite_user
from pagemill.cli import main
from pagemill.ids import PrincipalId, UserId
from pagemill.people.one_time_codes import try_code
from tests.support.people import add_user
from tests.support.tenants import Tenant


async def run(database_url: str, *command: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke, main, ["people", *command], env={"PAGEMILL_DATABASE_URL": database_url}
    )


async def test_a_code_for_somebody_with_an_account(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id)
        done = await run(database_url, "code", person.email.upper())
        code, _, rest = done.output.partition("  ")
        assert (done.exit_code, rest) == (0, "recover, for 20 minutes, at /sign-in/recovery/code\n")
        assert await try_code(connection, "recover", person.email, code) is not None


async def test_a_code_for_each_invitation(
    pool: asyncpg.Pool, database_url: str, organization: Tenant, other_organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        for number, tenant in enumerate((organization, other_organization)):
            await invite_user(
                connection,
                organization_id=tenant.organization_id,
                user_id=UserId(f"las:user:{number}"),
                email="bob@example.com",
                app_client_id=None,
                metadata=None,
                role_ids=[],
                valid_days=90,
                invited_by=PrincipalId("ada"),
            )
        done = await run(database_url, "code", "bob@example.com")
        lines = done.output.splitlines()
        assert [line.partition("  ")[2] for line in lines] == [
            "invite to Test organization, for 90 days, at /sign-in/invitation"
        ] * 2
        proven = [
            await try_code(connection, "invite", "bob@example.com", line.partition("  ")[0]) for line in lines
        ]
        assert [None if one is None else one.user_id for one in proven] == ["las:user:0", "las:user:1"]


async def test_nobody_gets_none(pool: asyncpg.Pool, database_url: str) -> None:
    for address in ("nobody@example.com", "nobody"):
        done = await run(database_url, "code", address)
        assert done.exit_code != 0
        assert await pool.fetchval("SELECT count(*) FROM one_time_code") == 0


async def test_how_many_organizations_a_person_may_create(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id)
    done = await run(database_url, "allow", person.email, "5")
    assert (done.exit_code, done.output) == (0, f"{person.email} may create 5 organizations\n")
    assert await pool.fetchval("SELECT number_of_organizations_allowed FROM profile") == 5
    for address in ("nobody@example.com", "nobody"):
        assert (await run(database_url, "allow", address, "5")).exit_code != 0
