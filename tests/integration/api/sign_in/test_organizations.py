"""People of several organizations choose one, and nobody can choose another's."""

from __future__ import annotations

import asyncpg
import httpx
import msgspec
import pytest

from pagemill.settings import Settings
from tests.integration.api.sign_in.conftest import PASSWORD, new_person
from tests.support.browsing import Browser
from tests.support.front_door import PublicApp, add_public_app, new_pkce
from tests.support.people import Person, add_user
from tests.support.signing_in import authorize_url, sign_in, tokens_after
from tests.support.tenants import Tenant


@pytest.fixture
def settings(settings: Settings, public_app: PublicApp) -> Settings:
    """The app may be used by people of all organizations."""
    return msgspec.structs.replace(settings, sign_in_app_clients=public_app.client_id)


@pytest.fixture
async def of_two(pool: asyncpg.Pool, ada: Person, other_organization: Tenant) -> Person:
    """Ada as a user of the other organization, whose name is Second."""
    await pool.execute(
        "UPDATE organization SET name = 'Second' WHERE id = $1", other_organization.organization_id
    )
    async with pool.acquire() as connection:
        return await add_user(connection, other_organization.organization_id, profile_of=ada)


async def test_one_of_several_is_chosen(
    browser: Browser, public_app: PublicApp, ada: Person, of_two: Person
) -> None:
    pkce = new_pkce()
    page = await sign_in(browser, ada.email, PASSWORD, url=authorize_url(public_app, pkce))
    assert (page.status, page.path) == (200, "/sign-in/organization")
    assert [value for _, value in page.forms[0].buttons] == [ada.user_id, of_two.user_id]
    back = await browser.submit(page, button=1)
    tokens = await tokens_after(browser, public_app, pkce, back)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    organization = (await browser.client.get("/v1/organizations/me", headers=headers)).json()
    assert organization["name"] == "Second"


async def test_an_app_of_one_organization_does_not_ask(
    browser: Browser, pool: asyncpg.Pool, ada: Person, of_two: Person, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        app = await add_public_app(connection, organization.organization_id)
    pkce = new_pkce()
    back = await sign_in(browser, ada.email, PASSWORD, url=authorize_url(app, pkce))
    await tokens_after(browser, app, pkce, back)


async def test_another_persons_user_cannot_be_chosen(
    browser: Browser,
    public_app: PublicApp,
    ada: Person,
    of_two: Person,
    pool: asyncpg.Pool,
    organization: Tenant,
) -> None:
    eve = await new_person(pool, organization)
    page = await sign_in(browser, ada.email, PASSWORD, url=authorize_url(public_app))
    for user_id in (eve.user_id, "", "las:user:none"):
        answer = await browser.client.post(
            "/sign-in/organization", data=page.forms[0].fields | {"user": user_id}
        )
        assert answer.status_code == 403
    assert await pool.fetchval("SELECT count(*) FROM authorization_code") == 0


async def test_invitations_are_among_the_choices(
    browser: Browser,
    api: httpx.AsyncClient,
    public_app: PublicApp,
    pool: asyncpg.Pool,
    other_organization: Tenant,
) -> None:
    person = await new_person(pool, other_organization)
    user = (await api.post("/v1/users", json={"email": person.email})).json()
    pkce = new_pkce()
    page = await sign_in(browser, person.email, PASSWORD, url=authorize_url(public_app, pkce))
    assert page.path == "/sign-in/organization"
    assert "You are invited" in page.text
    back = await browser.submit(page, button=1)
    await tokens_after(browser, public_app, pkce, back)
    assert (await api.get(f"/v1/users/{user['userId']}")).json()["status"] == "active"


async def test_who_has_signed_in_before_can_accept_an_invitation(
    browser: Browser,
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    other_organization: Tenant,
) -> None:
    async with pool.acquire() as connection:
        app = await add_public_app(connection, organization.organization_id)
    person = await new_person(pool, other_organization)
    await sign_in(browser, person.email, PASSWORD)
    assert (await api.post("/v1/users", json={"email": person.email})).status_code == 200
    pkce = new_pkce()
    page = await browser.open(authorize_url(app, pkce))
    assert page.path == "/sign-in/organization"
    back = await browser.submit(page, button=0)
    await tokens_after(browser, app, pkce, back)


async def test_who_is_no_user_of_the_organization_is_sent_back(
    browser: Browser, pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        app = await add_public_app(connection, organization.organization_id)
    eve = await new_person(pool, other_organization)
    back = await sign_in(browser, eve.email, PASSWORD, url=authorize_url(app))
    assert back.sent["error"] == "access_denied"


async def test_without_a_session_the_choice_leads_to_the_sign_in(
    browser: Browser, public_app: PublicApp, ada: Person, of_two: Person
) -> None:
    page = await sign_in(browser, ada.email, PASSWORD, url=authorize_url(public_app))
    browser.client.cookies.delete("__Host-pagemill-session")
    again = await browser.submit(page, button=0)
    assert again.path == "/sign-in"
