"""Sessions of people: they are known by their cookies alone, and end."""

from __future__ import annotations

import asyncpg
import pytest

from pagemill.client_credentials import hash_secret
from pagemill.people.sessions import begin_session, end_everything_of, end_session, find_session
from tests.support.people import Person, add_user
from tests.support.tenants import Tenant


@pytest.fixture
async def person(pool: asyncpg.Pool, organization: Tenant) -> Person:
    async with pool.acquire() as connection:
        return await add_user(connection, organization.organization_id)


async def test_a_session_is_found_by_its_cookie(pool: asyncpg.Pool, person: Person) -> None:
    async with pool.acquire() as connection:
        cookie = await begin_session(
            connection, person.profile_id, "192.0.2.1", "Mozilla\0" * 200, seconds=60
        )
        session = await find_session(connection, cookie)
        assert session is not None
        assert (session.profile_id, session.address) == (person.profile_id, "192.0.2.1")
        assert session.user_agent is not None
        assert session.user_agent.startswith("MozillaMozilla")
        assert len(session.user_agent) == 500
        assert session.id_hash == hash_secret(cookie)
        for other in (None, "", "x", session.id_hash, cookie + "x", "x" * 10_000, cookie.swapcase()):
            assert await find_session(connection, other) is None


async def test_each_session_has_a_cookie_of_its_own(pool: asyncpg.Pool, person: Person) -> None:
    async with pool.acquire() as connection:
        cookies = {
            await begin_session(connection, person.profile_id, None, None, seconds=60) for _ in range(3)
        }
        assert len(cookies) == 3
        sessions = [await find_session(connection, cookie) for cookie in cookies]
        await end_session(connection, next(one for one in sessions if one is not None))
        found = [await find_session(connection, cookie) for cookie in cookies]
        assert sum(one is not None for one in found) == 2


async def test_a_session_ends_after_its_time(pool: asyncpg.Pool, person: Person) -> None:
    async with pool.acquire() as connection:
        cookie = await begin_session(connection, person.profile_id, None, None, seconds=0.0)
        assert await find_session(connection, cookie) is None


async def test_everything_of_one_person_ends_and_nothing_of_another(
    pool: asyncpg.Pool, person: Person, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        other = await add_user(connection, organization.organization_id)
        mine = await begin_session(connection, person.profile_id, None, None, seconds=60)
        theirs = await begin_session(connection, other.profile_id, None, None, seconds=60)
        await end_everything_of(connection, person.profile_id)
        assert await find_session(connection, mine) is None
        assert await find_session(connection, theirs) is not None


async def test_old_sessions_are_forgotten(pool: asyncpg.Pool, person: Person) -> None:
    async with pool.acquire() as connection:
        for _ in range(2):
            await begin_session(connection, person.profile_id, None, None, seconds=60)
        await pool.execute("UPDATE sign_in_session SET expires_time = now() - interval '2 days'")
        await begin_session(connection, person.profile_id, None, None, seconds=60)
    assert await pool.fetchval("SELECT count(*) FROM sign_in_session") == 1
