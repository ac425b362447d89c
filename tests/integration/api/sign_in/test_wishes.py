"""Apps that want another sign-in, or none, get what OpenID Connect says; nobody gets around it."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest
from joserfc import jws

from pagemill.api.auth.session_cookies import SESSION_COOKIE
from pagemill.settings import Settings
from tests.integration.api.sign_in.conftest import PASSWORD, new_person
from tests.support.browsing import Browser
from tests.support.front_door import CALLBACK, PublicApp, new_pkce
from tests.support.people import Person, add_user
from tests.support.signing_in import authorize_url, sign_in, tokens_after
from tests.support.tenants import Tenant


@pytest.fixture
def settings(settings: Settings, public_app: PublicApp) -> Settings:
    """The app may be used by people of all organizations."""
    return msgspec.structs.replace(settings, sign_in_app_clients=public_app.client_id)


@pytest.mark.parametrize("wish", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}])
async def test_another_sign_in_is_really_needed(
    browser: Browser, public_app: PublicApp, ada: Person, pool: asyncpg.Pool, wish: dict[str, str]
) -> None:
    await sign_in(browser, ada.email, PASSWORD)
    before = browser.client.cookies[SESSION_COOKIE]
    pkce = new_pkce()
    page = await browser.open(authorize_url(public_app, pkce, **wish))
    assert page.path == "/sign-in"
    sealed = page.forms[0].fields["request"]
    # Not by the page after it, with the session from before.
    around = await browser.open(f"/sign-in/organization?request={sealed}")
    again = await browser.submit(around, button=0)
    assert again.path == "/sign-in"
    assert await pool.fetchval("SELECT count(*) FROM authorization_code") == 0
    back = await browser.submit(again, email=ada.email, password=PASSWORD)
    await tokens_after(browser, public_app, pkce, back)
    assert browser.client.cookies[SESSION_COOKIE] != before


async def test_a_sign_in_of_just_now_is_young_enough(
    browser: Browser, public_app: PublicApp, ada: Person, pool: asyncpg.Pool
) -> None:
    await sign_in(browser, ada.email, PASSWORD)
    assert "code" in (await browser.open(authorize_url(public_app, max_age="3600"))).sent
    await pool.execute("UPDATE sign_in_session SET created_time = created_time - interval '2 hours'")
    assert (await browser.open(authorize_url(public_app, max_age="3600"))).path == "/sign-in"
    silent = await browser.open(authorize_url(public_app, max_age="3600", prompt="none"))
    assert silent.sent["error"] == "login_required"


async def test_without_a_page_nothing_is_asked(
    browser: Browser,
    public_app: PublicApp,
    ada: Person,
    pool: asyncpg.Pool,
    other_organization: Tenant,
) -> None:
    await sign_in(browser, ada.email, PASSWORD)
    pkce = new_pkce()
    first = await browser.open(authorize_url(public_app, pkce, prompt="none", scope="openid"))
    id_token = (await tokens_after(browser, public_app, pkce, first))["id_token"]
    async with pool.acquire() as connection:
        await add_user(connection, other_organization.organization_id, profile_of=ada)
    silent = await browser.open(authorize_url(public_app, prompt="none", state="s"))
    assert silent.sent == {"error": "interaction_required", "state": "s"}
    # An app that says whom it had is given the same user again.
    pkce = new_pkce()
    url = authorize_url(public_app, pkce, prompt="none", scope="openid", id_token_hint=id_token)
    renewed = await tokens_after(browser, public_app, pkce, await browser.open(url))
    subjects = [
        msgspec.json.decode(jws.extract_compact(token.encode()).payload)["sub"]
        for token in (id_token, renewed["id_token"])
    ]
    assert subjects == [ada.user_id, ada.user_id]


async def test_who_is_not_wanted_is_not_given(
    browser: Browser,
    other_browser: Browser,
    public_app: PublicApp,
    ada: Person,
    pool: asyncpg.Pool,
    organization: Tenant,
) -> None:
    eve = await new_person(pool, organization)
    pkce = new_pkce()
    url = authorize_url(public_app, pkce, scope="openid")
    back = await sign_in(other_browser, eve.email, PASSWORD, url=url)
    hint = (await tokens_after(other_browser, public_app, pkce, back))["id_token"]
    await sign_in(browser, ada.email, PASSWORD)
    refused = await browser.open(authorize_url(public_app, prompt="none", id_token_hint=hint))
    assert refused.sent == {"error": "login_required"}


async def test_the_address_that_the_app_knows_is_filled_in(browser: Browser, public_app: PublicApp) -> None:
    page = await browser.open(authorize_url(public_app, login_hint="Ada@example.com"))
    assert page.forms[0].fields["email"] == "ada@example.com"
    page = await browser.open(page.links["Forgot your password?"])
    assert page.forms[0].fields["email"] == "ada@example.com"


@pytest.mark.parametrize("wish", [{"request": "x"}, {"response_mode": "fragment"}, {"prompt": "none login"}])
async def test_what_would_not_be_obeyed_is_refused(
    browser: Browser, public_app: PublicApp, ada: Person, wish: dict[str, str]
) -> None:
    await sign_in(browser, ada.email, PASSWORD)
    page = await browser.open(authorize_url(public_app, state="s", **wish))
    assert page.left_for.startswith(CALLBACK)
    assert (page.sent["state"], "code" in page.sent) == ("s", False)
