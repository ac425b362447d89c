"""People make an organization of their own where the operator wants it, once their address is proven."""

from __future__ import annotations

import asyncpg
import httpx
import msgspec
import pytest

from pagemill.settings import Settings
from pagemill.stack.bootstrap import PLAN_SLUG, seed_roles
from tests.integration.api.resources.test_organizations import add_plan
from tests.integration.api.sign_in.conftest import PASSWORD
from tests.support.browsing import Browser, Page
from tests.support.front_door import PublicApp, new_pkce
from tests.support.mailbox import Mailbox, code_in
from tests.support.people import Person
from tests.support.signing_in import authorize_url, profile_with, sign_in, tokens_after

EMAIL = "bob@example.com"


@pytest.fixture
async def settings(settings: Settings, pool: asyncpg.Pool, public_app: PublicApp) -> Settings:
    """Sign-up is on, and the app may be used by people of all organizations."""
    async with pool.acquire() as connection:
        await seed_roles(connection)
    await add_plan(pool, "self-hosted", 1)
    return msgspec.structs.replace(
        settings, sign_up=True, new_organization_plan=PLAN_SLUG, sign_in_app_clients=public_app.client_id
    )


async def ask(browser: Browser, email: str = EMAIL, *, url: str = "/sign-in") -> Page:
    page = await browser.open(url)
    page = await browser.open(page.links["Create an organization"])
    return await browser.submit(page, email=email)


async def test_from_an_app_to_an_organization_and_back(
    browser: Browser, public_app: PublicApp, mail: Mailbox, pool: asyncpg.Pool
) -> None:
    pkce = new_pkce()
    page = await ask(browser, url=authorize_url(public_app, pkce))
    message = await mail.last(1)
    assert message["Subject"] == "Your code to sign up"
    assert await pool.fetchval("SELECT count(*) FROM profile WHERE email = $1", EMAIL) == 0
    filled = {"given_name": "Bob", "organization": "Noyce & Sons", "new_password": PASSWORD}
    back = await browser.submit(page, code=code_in(message), **filled)
    tokens = await tokens_after(browser, public_app, pkce, back)
    token = tokens["access_token"]
    profile = (await profile_with(browser.client, token)).json()
    assert (profile["email"], profile["numberOfOrganizationsCreated"]) == (EMAIL, 1)
    headers = {"Authorization": f"Bearer {token}"}
    organization = (await browser.client.get("/v1/organizations/me", headers=headers)).json()
    assert (organization["name"], organization["numberOfUsersCreated"]) == ("Noyce & Sons", 1)
    more = await browser.client.post("/v1/organizations", json={}, headers=headers)
    assert (more.status_code, more.json()["message"]) == (429, "Limit Exceeded")
    shared = await browser.client.get("/v1/models?owner=las:organization:cradl", headers=headers)
    assert shared.status_code == 200


async def test_who_has_an_account_is_told_so_by_mail_alone(
    browser: Browser, ada: Person, mail: Mailbox, pool: asyncpg.Pool
) -> None:
    known, unknown = await ask(browser, ada.email), await ask(browser, EMAIL)
    assert (known.status, known.text) == (unknown.status, unknown.text)
    messages = await mail.messages(2)
    assert {one["To"]: one["Subject"] for one in messages} == {
        ada.email: "You have an account already",
        EMAIL: "Your code to sign up",
    }
    [other] = [one for one in messages if one["To"] == EMAIL]
    refused = await browser.submit(known, email=ada.email, code=code_in(other), new_password=PASSWORD)
    assert refused.status == 400
    assert (await sign_in(browser, ada.email, PASSWORD)).path == "/sign-in/account"


async def test_without_the_code_nothing_is_made(browser: Browser, mail: Mailbox, pool: asyncpg.Pool) -> None:
    page = await ask(browser)
    await mail.messages(1)
    before = await pool.fetchval("SELECT count(*) FROM organization")
    refused = await browser.submit(page, code="0000-0000-0000", new_password=PASSWORD)
    assert refused.status == 400
    assert await pool.fetchval("SELECT count(*) FROM organization") == before
    assert await pool.fetchval("SELECT count(*) FROM profile WHERE email = $1", EMAIL) == 0


async def test_a_new_address_can_still_be_invited(
    browser: Browser, api: httpx.AsyncClient, mail: Mailbox
) -> None:
    page = await ask(browser)
    code = code_in(await mail.last(1))
    assert (await api.post("/v1/users", json={"email": EMAIL})).status_code == 200
    done = await browser.submit(page, code=code, organization="Own", new_password=PASSWORD)
    assert done.path == "/sign-in/account"
    assert "Own" in done.text
    assert "Accept the invitation" in done.text
