"""Whom an account at a provider lets in."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from db.passwords import set_password_hash
from pagemill.people.accounts import find_profile_id
from pagemill.people.identities import AddressTaken, ProviderAccount, find_or_admit
from tests.support.people import add_user
from tests.support.tenants import Tenant

ACCOUNT = ProviderAccount(
    issuer="https://id.example.com", subject="1", email="Bob@Example.com", given_name="Bob"
)


async def invite(pool: asyncpg.Pool, organization: Tenant, expires: str = "now() + interval '1 day'") -> None:
    await pool.execute(
        f"""
        INSERT INTO organization_user (organization_id, id, email, status, invitation_expires)
        VALUES ($1, 'las:user:bob', 'bob@example.com', 'invite_pending', {expires})
        """,
        organization.organization_id,
    )


async def test_who_was_invited_is_let_in_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    await invite(pool, organization)
    async with pool.acquire() as connection:
        first = await find_or_admit(connection, ACCOUNT, anybody=False)
        assert first is not None
        assert first == await find_profile_id(connection, email="bob@example.com")
        assert await connection.fetchval("SELECT email_verified_time FROM profile") is not None
        moved = msgspec.structs.replace(ACCOUNT, email="other@example.com")
        assert await find_or_admit(connection, moved, anybody=False) == first
        assert (
            await find_or_admit(connection, msgspec.structs.replace(ACCOUNT, email=None), anybody=False)
            == first
        )


async def test_the_account_of_somebody_is_theirs(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id)
        account = msgspec.structs.replace(ACCOUNT, email=person.email)
        # Somebody who has no other way to sign in.
        assert await find_or_admit(connection, account, anybody=False) == person.profile_id
        other = msgspec.structs.replace(account, issuer="https://other.example.com")
        for anybody in (False, True):
            with pytest.raises(AddressTaken) as taken:
                await find_or_admit(connection, other, anybody=anybody)
            assert taken.value.profile_id == person.profile_id
        deciding = msgspec.structs.replace(other, decides=True)
        assert await find_or_admit(connection, deciding, anybody=False) == person.profile_id
        assert await find_or_admit(connection, other, anybody=False) == person.profile_id


async def test_an_address_does_not_open_an_account_with_a_password(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id)
        await set_password_hash(connection, profile_id=person.profile_id, hash="x")
        account = msgspec.structs.replace(ACCOUNT, email=person.email)
        with pytest.raises(AddressTaken):
            await find_or_admit(connection, account, anybody=True)
        assert await connection.fetchval("SELECT count(*) FROM identity") == 0


@pytest.mark.parametrize("email", ["bob@example.com", None, "no address", "bob@example.com\n"])
async def test_strangers_are_not_let_in(pool: asyncpg.Pool, organization: Tenant, email: str | None) -> None:
    await invite(pool, organization, "now()")
    async with pool.acquire() as connection:
        account = msgspec.structs.replace(ACCOUNT, email=email)
        assert await find_or_admit(connection, account, anybody=False) is None
        assert await connection.fetchval("SELECT count(*) FROM profile") == 0


@pytest.mark.parametrize(("email", "admitted"), [("bob@example.com", True), (None, False)])
async def test_with_sign_up_every_verified_address_is(
    pool: asyncpg.Pool, email: str | None, admitted: bool
) -> None:
    async with pool.acquire() as connection:
        account = msgspec.structs.replace(ACCOUNT, email=email)
        assert (await find_or_admit(connection, account, anybody=True) is not None) == admitted
