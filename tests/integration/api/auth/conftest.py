"""Somebody who has signed in, and an app through which people sign in."""

from __future__ import annotations

import asyncpg
import pytest

from pagemill.people.sessions import SessionCookie
from tests.support.front_door import PublicApp, add_public_app, browser_session
from tests.support.people import Person, add_user
from tests.support.tenants import Tenant


@pytest.fixture
async def person(pool: asyncpg.Pool, organization: Tenant) -> Person:
    """An active user of the organization."""
    async with pool.acquire() as connection:
        return await add_user(connection, organization.organization_id)


@pytest.fixture
async def public_app(pool: asyncpg.Pool, organization: Tenant) -> PublicApp:
    """An app client of the organization without a secret."""
    async with pool.acquire() as connection:
        return await add_public_app(connection, organization.organization_id)


@pytest.fixture
async def other_app(pool: asyncpg.Pool, other_organization: Tenant) -> PublicApp:
    """An app client of another organization, with the same callback URL."""
    async with pool.acquire() as connection:
        return await add_public_app(connection, other_organization.organization_id)


@pytest.fixture
async def cookie(pool: asyncpg.Pool, person: Person) -> SessionCookie:
    """The session of a browser in which the person has signed in."""
    async with pool.acquire() as connection:
        return await browser_session(connection, person.profile_id)
