"""The pages in a real browser: an app's whole sequence, without script, on small screens, and accessible.

All of them share one server, one provider and one browser, whose start takes longer than the tests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from db.administration import create_database, drop_database
from db.app_clients import insert_app_client
from db.passwords import set_password_hash
from db.pool import create_pool
from db.statements import Connection
from pagemill.client_credentials import new_client_id
from pagemill.ids import AppClientId, new_id
from pagemill.people.passwords import HASHER
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings
from pagemill.stack.postgres import EmbeddedPostgres
from tests.conftest import TEMPLATE
from tests.support.chromium import chromium, undisturbed
from tests.support.node import installed
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, openid_providers
from tests.support.people import Person, add_user
from tests.support.site import AppServer, app_server, https_server
from tests.support.tenants import create_tenant

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

URL = "https://mill.example.com"
"""No browser remembers that localhost is reached by TLS alone: apps are there, too."""
DATABASE = "pages_in_chromium"
PASSWORD = "correct horse battery"
SMALL = {"width": 320, "height": 640}
PATHS = (
    "/sign-in",
    "/sign-in/recovery",
    "/sign-in/recovery/code",
    "/sign-in/invitation",
    "/sign-in/sign-up",
    "/sign-in/sign-up/code",
)
SCHEMES: Sequence[tuple[Literal["light", "dark"], str]] = (
    ("light", "{}"),
    ("dark", "{runOnly: ['color-contrast']}"),
)
"""Schemes, and what of a page is judged in each: in the dark its colours alone are other ones."""
PATHS_SIGNED_IN = ("/sign-in/account", "/sign-in/password")


@dataclass(frozen=True, slots=True)
class Site:
    """A browser, and a server with an organization, an app and a person."""

    browser: Browser
    pool: asyncpg.Pool
    app: AppServer
    person: Person


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    asyncio.run(create_database(postgres.url("postgres"), DATABASE, template=TEMPLATE))
    yield postgres.url(DATABASE)
    asyncio.run(drop_database(postgres.url("postgres"), DATABASE))


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with openid_providers(f"{URL}/sign-in/openid/work/callback") as running:
        yield running["userinfo"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(database: str, issuer: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server that people reach at ``URL``, and their browser."""
    directory = tmp_path_factory.mktemp("site")
    directory.chmod(0o700)
    secret = directory / "client-secret"
    secret.write_text(CLIENT_SECRET)
    provider = {
        "name": "work",
        "title": "Work account",
        "issuer": issuer,
        "clientId": CLIENT_ID,
        "clientSecretFile": str(secret),
    }
    settings = Settings(
        database_url=database,
        objects_url=directory.as_uri(),
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
        public_url=URL,
        sign_up=True,
        sign_in_tries=1000,
        openid_providers=json.dumps([provider]),
        openid_private_providers=True,
    )
    async with (
        app_server() as app,
        https_server(settings, directory) as port,
        chromium(f"--host-resolver-rules=MAP mill.example.com:443 127.0.0.1:{port}") as browser,
    ):
        pool = await create_pool(database, size=1)
        async with pool.acquire() as connection:
            person = await add_person(connection, app)
        yield Site(browser, pool, app, person)
        await pool.close()


async def add_person(connection: Connection, app: AppServer) -> Person:
    """Add an organization with a person who has a password, and its app."""
    organization = await create_tenant(connection)
    person = await add_user(connection, organization.organization_id)
    password_hash = await asyncio.to_thread(HASHER.hash, PASSWORD)
    await set_password_hash(connection, profile_id=person.profile_id, hash=password_hash)
    app.api, app.client_id = URL, new_client_id()
    await insert_app_client(
        connection,
        organization_id=organization.organization_id,
        app_client_id=new_id(AppClientId),
        client_id=app.client_id,
        secret_hash=None,
        name="Review desk",
        description=None,
        configuration={"callbackUrls": [f"{app.url}/callback"], "logoutUrls": [f"{app.url}/bye"]},
        role_ids=[],
        created_by=None,
    )
    return person


def walked(**options: Any) -> Callable[[Callable[[Page, Site], Awaitable[None]]], Any]:
    """Make steps a test, which walks them in a browser with these options."""

    def decorate(steps: Callable[[Page, Site], Awaitable[None]]) -> Callable[[Site], Awaitable[None]]:
        async def test(site: Site) -> None:
            await undisturbed(site.browser, lambda page: steps(page, site), **options)

        test.__doc__ = steps.__doc__
        return test

    return decorate


async def fill_in(page: Page, site: Site, password: str = PASSWORD) -> None:
    await page.get_by_label("E-mail address").fill(site.person.email)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def shown(page: Page, step: str) -> dict[str, Any]:
    """What the app shows once it has come to a step."""
    await page.locator("#result").filter(has_text=step).wait_for()
    return dict(json.loads(await page.inner_text("#result")))


@walked()
async def test_the_sequence_of_an_app(page: Page, site: Site) -> None:
    """Authorize, sign in, code, token, call, refresh, log out, and every token is refused."""
    await page.goto(site.app.url)
    await page.click("#sign-in")
    await page.get_by_text("to continue to Review desk").wait_for()
    await fill_in(page, site, "not the password")
    await page.get_by_role("alert").wait_for()
    assert "is wrong" in await page.get_by_role("alert").inner_text()
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.keyboard.press("Enter")
    result = await shown(page, "signed in")
    assert (result["token"], result["profile"]["status"]) == (200, 200)
    assert result["profile"]["body"]["email"] == site.person.email
    await page.click("#refresh")
    result = await shown(page, "refreshed")
    assert (result["token"], result["other"], result["profile"]["status"]) == (200, True, 200)
    await page.click("#sign-out")
    await shown(page, "signed out")
    await page.click("#refresh")
    result = await shown(page, "refreshed")
    assert (result["token"], result["profile"]["status"]) == (400, 403)
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies(URL)}
    assert "__Host-pagemill-session" not in cookies


@walked()
async def test_an_account_at_a_provider_is_connected_and_leads_to_the_app(page: Page, site: Site) -> None:
    """The policy of the pages stands in the way of no redirect, here and back to the app."""
    await site.pool.execute("DELETE FROM identity")
    await page.goto(site.app.url)
    await page.click("#sign-in")
    await page.get_by_role("link", name="Sign in with Work account").click()
    await page.locator("input[name=login]").fill(site.person.email.partition("@")[0])
    await page.locator("input[name=password]").fill("any")
    await page.locator("button[type=submit]").click()
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_text("There is an account with the e-mail address").wait_for()
    await fill_in(page, site)
    await shown(page, "signed in")
    await page.click("#sign-out")
    await shown(page, "signed out")
    await page.goto(site.app.url)
    await page.click("#sign-in")
    await page.get_by_role("link", name="Sign in with Work account").click()
    result = await shown(page, "signed in")
    assert result["profile"]["body"]["email"] == site.person.email


@walked(java_script_enabled=False, viewport=SMALL)
async def test_without_script_on_a_small_screen(page: Page, site: Site) -> None:
    await page.goto(f"{URL}/sign-in")
    await fill_in(page, site)
    await page.get_by_role("heading", name="Your account").wait_for()
    cookies = {one["name"]: one for one in await page.context.cookies(URL)}
    cookie = cookies["__Host-pagemill-session"]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await page.get_by_role("heading", name="You are signed out").wait_for()


@walked(viewport=SMALL)
async def test_nothing_is_loaded_and_nothing_is_cut_off(page: Page, site: Site) -> None:
    """At 320 pixels no page scrolls sideways; each asks for itself and the style sheet alone."""
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{URL}/sign-in")
    for signed_in, paths in ((False, PATHS), (True, PATHS_SIGNED_IN)):
        if signed_in:
            await page.goto(f"{URL}/sign-in")
            await fill_in(page, site)
            await page.get_by_role("heading", name="Your account").wait_for()
        for path in paths:
            await page.goto(URL + path)
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= SMALL["width"], (path, width)
            styled = await page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")
            assert styled != "none", path
    assert complaints == []
    assert {one.partition("?")[0].removeprefix(URL) for one in asked} <= {
        *PATHS,
        *PATHS_SIGNED_IN,
        "/sign-in/style.css",
        "/sign-in/icon.svg",
    }


@walked(viewport=SMALL, bypass_csp=True)
async def test_no_page_has_a_barrier(page: Page, site: Site) -> None:
    """axe-core finds nothing, contrast included, in both schemes; and the keyboard reaches everything."""
    modules = await asyncio.to_thread(installed, Path(__file__).parents[2] / "sign_in")
    axe = (modules / "axe-core" / "axe.min.js").read_text()
    found = {}
    # The policy of the pages would keep the judge out, too.
    await page.goto(f"{URL}/sign-in")
    assert await reached_by_tab(page, 7) == [
        "email",
        "password",
        "Sign in",
        "Sign in with Work account",
        "Forgot your password?",
        "I have an invitation",
        "Create an organization",
    ]
    await fill_in(page, site, "not the password")
    await page.get_by_role("alert").wait_for()
    found["wrong password"] = await barriers(page, axe)
    for path in PATHS:
        await page.goto(URL + path)
        found[path] = await barriers(page, axe)
    await page.goto(f"{URL}/sign-in")
    await fill_in(page, site)
    await page.get_by_role("heading", name="Your account").wait_for()
    for path in PATHS_SIGNED_IN:
        await page.goto(URL + path)
        found[path] = await barriers(page, axe)
    assert {where: what for where, what in found.items() if what} == {}


async def reached_by_tab(page: Page, count: int) -> list[str]:
    """What has the focus at first, and with each Tab: a field by its name, or else a text."""
    reached = []
    for _ in range(count):
        reached.append(
            await page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()")
        )
        await page.keyboard.press("Tab")
    return reached


async def barriers(page: Page, axe: str) -> list[str]:
    """What axe-core finds on a page in both schemes."""
    await page.evaluate(axe)
    found = []
    for scheme, rules in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        found += await page.evaluate(f"axe.run(document, {rules}).then(found => found.violations)")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]
