"""People who sign in on the pages, in browsers without script, and get real mail."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from argon2 import PasswordHasher
from litestar import Litestar

from db.passwords import set_password_hash
from pagemill.people.passwords import PasswordHashing
from pagemill.settings import Settings
from tests.support.browsing import Browser
from tests.support.front_door import PublicApp, add_public_app
from tests.support.mailbox import Mailbox, mailbox
from tests.support.people import Person, add_user
from tests.support.tenants import Tenant

PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password takes a tenth of a second otherwise, and these tests hash a hundred."""
    monkeypatch.setitem(PasswordHashing.__init__.__kwdefaults__, "hasher", CHEAP)


@pytest.fixture
async def browser(cheap_passwords: None, app: Litestar) -> AsyncIterator[Browser]:
    """Somebody's browser."""
    opened = Browser(app)
    yield opened
    await opened.close()


@pytest.fixture
async def other_browser(cheap_passwords: None, app: Litestar) -> AsyncIterator[Browser]:
    """Another one, elsewhere."""
    opened = Browser(app, address="198.51.100.9")
    yield opened
    await opened.close()


@pytest.fixture
async def mail(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[Mailbox]:
    """The mail that arrives."""
    async with mailbox(pool, settings) as box:
        yield box


@pytest.fixture
async def public_app(pool: asyncpg.Pool, organization: Tenant) -> PublicApp:
    """An app of the organization through which people sign in."""
    async with pool.acquire() as connection:
        return await add_public_app(connection, organization.organization_id)


@pytest.fixture
async def ada(pool: asyncpg.Pool, organization: Tenant) -> Person:
    """A user of the organization, who has a password."""
    return await new_person(pool, organization)


async def new_person(pool: asyncpg.Pool, organization: Tenant, *, profile_of: Person | None = None) -> Person:
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id, profile_of=profile_of)
        await set_password_hash(connection, profile_id=person.profile_id, hash=CHEAP.hash(PASSWORD))
    return person
