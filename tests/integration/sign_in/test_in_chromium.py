"""The pages in a real browser: an app's whole sequence, without script, on small screens, and accessible."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from db.app_clients import insert_app_client
from db.passwords import set_password_hash
from pagemill.client_credentials import new_client_id
from pagemill.ids import AppClientId, new_id
from pagemill.people.passwords import HASHER
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings
from tests.support.chromium import chromium
from tests.support.node import installed
from tests.support.people import Person, add_user
from tests.support.site import AppServer, app_server, https_server
from tests.support.tenants import Tenant

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

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
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATHS_SIGNED_IN = ("/sign-in/account", "/sign-in/password")
WAIT = 60_000.0


@dataclass(frozen=True, slots=True)
class Site:
    """A server with an organization, an app and a person."""

    url: str
    app: AppServer
    person: Person


@pytest.fixture
async def site(
    pool: asyncpg.Pool, database_url: str, organization: Tenant, objects_directory: Path, tmp_path: Path
) -> AsyncIterator[Site]:
    settings = Settings(
        database_url=database_url,
        objects_url=objects_directory.as_uri(),
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
        sign_up=True,
    )
    certificates = tmp_path / "server"
    certificates.mkdir(mode=0o700)
    async with app_server() as app, https_server(settings, certificates) as url:
        async with pool.acquire() as connection:
            person = await add_user(connection, organization.organization_id)
            await set_password_hash(
                connection, profile_id=person.profile_id, hash=await asyncio.to_thread(HASHER.hash, PASSWORD)
            )
            app.api, app.client_id = url, new_client_id()
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
        yield Site(url, app, person)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def new_context(browser: Browser, **options: Any) -> BrowserContext:
    context = await browser.new_context(ignore_https_errors=True, **options)
    context.set_default_timeout(WAIT)
    return context


async def fill_in(page: Page, site: Site, password: str = PASSWORD) -> None:
    await page.get_by_label("E-mail address").fill(site.person.email)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def shown(page: Page, step: str) -> dict[str, Any]:
    """What the app shows once it has come to a step."""
    await page.locator("#result").filter(has_text=step).wait_for()
    return dict(json.loads(await page.inner_text("#result")))


async def test_the_sequence_of_an_app(browser: Browser, site: Site) -> None:
    """Authorize, sign in, code, token, call, refresh, log out, and every token is refused."""
    context = await new_context(browser)
    page = await context.new_page()
    await page.goto(site.app.url)
    await page.click("#sign-in")
    await page.get_by_text("to go on to Review desk").wait_for()
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
    cookies = {cookie["name"]: cookie for cookie in await context.cookies(site.url)}
    assert "__Host-pagemill-session" not in cookies
    await context.close()


async def test_without_script_on_a_small_screen(browser: Browser, site: Site) -> None:
    for scheme in SCHEMES:
        context = await new_context(browser, java_script_enabled=False, viewport=SMALL, color_scheme=scheme)
        page = await context.new_page()
        await page.goto(f"{site.url}/sign-in")
        await fill_in(page, site)
        await page.get_by_role("heading", name="Your account").wait_for()
        cookies = {one["name"]: one for one in await context.cookies(site.url)}
        cookie = cookies["__Host-pagemill-session"]
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await page.get_by_role("heading", name="You are signed out").wait_for()
        await context.close()


async def test_nothing_is_loaded_and_nothing_is_cut_off(browser: Browser, site: Site) -> None:
    """At 320 pixels no page scrolls sideways; each asks for itself and the style sheet alone."""
    context = await new_context(browser, viewport=SMALL)
    page = await context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{site.url}/sign-in")
    for signed_in, paths in ((False, PATHS), (True, PATHS_SIGNED_IN)):
        if signed_in:
            await page.goto(f"{site.url}/sign-in")
            await fill_in(page, site)
            await page.get_by_role("heading", name="Your account").wait_for()
        for path in paths:
            await page.goto(site.url + path)
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= SMALL["width"], (path, width)
            styled = await page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")
            assert styled != "none", path
    assert [one for one in complaints if "favicon" not in one] == []
    assert {one.partition("?")[0].removeprefix(site.url) for one in asked} <= {
        *PATHS,
        *PATHS_SIGNED_IN,
        "/sign-in/style.css",
        "/favicon.ico",
    }
    await context.close()


async def test_no_page_has_a_barrier(browser: Browser, site: Site) -> None:
    """axe-core finds nothing, contrast included, in both schemes; and the keyboard reaches everything."""
    modules = await asyncio.to_thread(installed, Path(__file__).parents[2] / "sign_in")
    axe = (modules / "axe-core" / "axe.min.js").read_text()
    found = {}
    for scheme in SCHEMES:
        # The policy of the pages would keep the judge out, too.
        context = await new_context(browser, color_scheme=scheme, viewport=SMALL, bypass_csp=True)
        page = await context.new_page()
        await page.goto(f"{site.url}/sign-in")
        assert await reached_by_tab(page, 6) == [
            "email",
            "password",
            "Sign in",
            "I do not know my password",
            "I have an invitation",
            "Make an organization of your own",
        ]
        await fill_in(page, site, "not the password")
        await page.get_by_role("alert").wait_for()
        found[scheme, "wrong password"] = await barriers(page, axe)
        for path in PATHS:
            await page.goto(site.url + path)
            found[scheme, path] = await barriers(page, axe)
        await page.goto(f"{site.url}/sign-in")
        await fill_in(page, site)
        await page.get_by_role("heading", name="Your account").wait_for()
        for path in PATHS_SIGNED_IN:
            await page.goto(site.url + path)
            found[scheme, path] = await barriers(page, axe)
        await context.close()
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
    """What axe-core finds on a page."""
    await page.evaluate(axe)
    violations = await page.evaluate("axe.run(document).then(found => found.violations)")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in violations]
