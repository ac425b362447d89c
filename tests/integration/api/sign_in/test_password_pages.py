"""People sign in with e-mail and password, and change it."""

from __future__ import annotations

import asyncpg
import pytest
from argon2 import PasswordHasher
from litestar import Litestar

from db.passwords import find_password_hash
from pagemill.api.auth.session_cookies import SESSION_COOKIE
from pagemill.api.sign_in.cookies import FORM_COOKIE
from pagemill.people.password_rules import TOO_EASY, TOO_SHORT
from tests.integration.api.sign_in.conftest import CHEAP, PASSWORD
from tests.support.browsing import Browser
from tests.support.front_door import PublicApp, new_pkce
from tests.support.mailbox import Mailbox
from tests.support.people import Person
from tests.support.signing_in import (
    authorize_url,
    profile_with,
    sign_in,
    sign_in_to_app,
    tokens_after,
)

OTHER = "zebra kitchen quilt"


async def test_from_an_app_and_back_to_it(browser: Browser, public_app: PublicApp, ada: Person) -> None:
    pkce = new_pkce()
    page = await browser.open(authorize_url(public_app, pkce, state="s1"))
    assert (page.status, page.path) == (200, "/sign-in")
    assert "to continue to App" in page.text
    back = await browser.submit(page, email=ada.email.upper(), password=PASSWORD)
    assert back.sent["state"] == "s1"
    tokens = await tokens_after(browser, public_app, pkce, back)
    profile = (await profile_with(browser.client, tokens["access_token"])).json()
    assert (profile["profileId"], profile["email"]) == (ada.profile_id, ada.email)


async def test_who_has_signed_in_is_not_asked_again(
    browser: Browser, public_app: PublicApp, ada: Person
) -> None:
    await sign_in_to_app(browser, public_app, ada.email, PASSWORD)
    pkce = new_pkce()
    back = await browser.open(authorize_url(public_app, pkce))
    await tokens_after(browser, public_app, pkce, back)


async def test_without_an_app_the_account_is_shown(browser: Browser, ada: Person) -> None:
    page = await sign_in(browser, ada.email, PASSWORD)
    assert page.path == "/sign-in/account"
    assert "Ada Lovelace" in page.text
    assert "Test organization" in page.text


async def test_wrong_and_unknown_are_answered_alike(
    browser: Browser, ada: Person, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[bool] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, *arguments: str) -> bool:
        hashed.append(True)
        return verify(self, *arguments)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    answers = []
    await pool.execute("INSERT INTO profile (id, email) VALUES ('las:profile:2', 'none@example.com')")
    for email in (ada.email, "nobody@example.com", "none@example.com"):
        del hashed[:]
        page = await sign_in(browser, email, "not the password")
        answers.append((page.status, page.alert, page.text.replace(email, ""), len(hashed)))
        assert SESSION_COOKIE not in browser.client.cookies
    assert set(answers) == {answers[0]}
    assert answers[0][0] == 400
    assert answers[0][3] == 1


@pytest.mark.parametrize("email", ["", "ada", "ada@example.com\r\nX: y", "x" * 300 + "@example.com"])
async def test_what_is_no_address_is_answered_alike_too(browser: Browser, email: str) -> None:
    page = await sign_in(browser, email, PASSWORD)
    assert (page.status, page.alert) == (400, "The e-mail address or the password is wrong.")


async def test_tries_are_bounded(
    app: Litestar, browser: Browser, other_browser: Browser, ada: Person
) -> None:
    pages = [await sign_in(browser, ada.email, "not the password") for _ in range(21)]
    assert [page.status for page in pages] == [400] * 20 + [429]
    assert "Too many tries" in pages[-1].alert
    assert int(pages[-1].headers["Retry-After"]) > 0
    assert (await sign_in(browser, ada.email, PASSWORD)).status == 429
    unknown = [await sign_in(browser, "nobody@example.com", "x") for _ in range(21)]
    assert [page.status for page in unknown] == [400] * 20 + [429]
    assert (await sign_in(other_browser, ada.email, PASSWORD)).path == "/sign-in/account"


async def test_cookies_are_new_and_cannot_be_read_or_planted(browser: Browser, ada: Person) -> None:
    browser.client.cookies.set(SESSION_COOKIE, "planted", domain="localhost.local", path="/")
    page = await browser.open("/sign-in")
    before = browser.client.cookies[FORM_COOKIE]
    form = page.forms[0]
    response = await browser.client.post(
        form.action, data=form.fields | {"email": ada.email, "password": PASSWORD}
    )
    assert response.status_code == 303
    set_cookies = {one.partition("=")[0]: one for one in response.headers.get_list("set-cookie")}
    assert set(set_cookies) == {SESSION_COOKIE, FORM_COOKIE}
    for cookie in set_cookies.values():
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= attributes
        assert not any(one.startswith("domain") for one in attributes)
    assert "planted" not in set_cookies[SESSION_COOKIE]
    assert before not in set_cookies[FORM_COOKIE]


async def test_another_password_signs_out_everything_else(
    browser: Browser, other_browser: Browser, public_app: PublicApp, ada: Person, mail: Mailbox
) -> None:
    elsewhere = await sign_in_to_app(other_browser, public_app, ada.email, PASSWORD)
    here = await sign_in_to_app(browser, public_app, ada.email, PASSWORD)
    page = await browser.open("/sign-in/password")
    for new, problem in (("short", TOO_SHORT), (f"{ada.email}12", TOO_EASY)):
        refused = await browser.submit(page, password=PASSWORD, new_password=new)
        assert (refused.status, refused.alert) == (400, problem)
    refused = await browser.submit(page, password="wrong", new_password=OTHER)
    assert (refused.status, refused.alert) == (400, "This is not your current password.")
    assert (await profile_with(browser.client, elsewhere["access_token"])).status_code == 200
    done = await browser.submit(page, password=PASSWORD, new_password=OTHER)
    assert done.path == "/sign-in/account"
    assert "Your password was changed" in done.text
    assert (await profile_with(browser.client, elsewhere["access_token"])).status_code == 403
    assert (await profile_with(browser.client, here["access_token"])).status_code == 200
    assert (await other_browser.open("/sign-in/account")).path == "/sign-in"
    assert (await sign_in(other_browser, ada.email, PASSWORD)).status == 400
    assert (await sign_in(other_browser, ada.email, OTHER)).path == "/sign-in/account"
    message = await mail.last(1)
    assert (message["To"], message["Subject"]) == (ada.email, "Your password was changed")


async def test_who_has_no_password_is_told_how_to_get_one(
    browser: Browser, ada: Person, pool: asyncpg.Pool
) -> None:
    await sign_in(browser, ada.email, PASSWORD)
    await pool.execute("DELETE FROM password")
    page = await browser.open("/sign-in/password")
    assert page.forms == []
    assert page.links["Choose one"] == "/sign-in/recovery"


async def test_hashes_of_an_earlier_release_are_renewed(
    browser: Browser, ada: Person, pool: asyncpg.Pool
) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1).hash(PASSWORD)
    await pool.execute("UPDATE password SET hash = $1", old)
    assert (await sign_in(browser, ada.email, PASSWORD)).path == "/sign-in/account"
    async with pool.acquire() as connection:
        stored = await find_password_hash(connection, profile_id=ada.profile_id)
    assert stored not in (None, old)
    assert not CHEAP.check_needs_rehash(stored or "")


async def test_signing_out_ends_the_tokens_of_this_browser(
    browser: Browser, other_browser: Browser, public_app: PublicApp, ada: Person
) -> None:
    elsewhere = await sign_in_to_app(other_browser, public_app, ada.email, PASSWORD)
    here = await sign_in_to_app(browser, public_app, ada.email, PASSWORD)
    page = await browser.submit(await browser.open("/sign-in/account"), 0)
    assert "This browser is signed out" in page.text
    assert (await profile_with(browser.client, here["access_token"])).status_code == 403
    assert (await profile_with(browser.client, elsewhere["access_token"])).status_code == 200
    assert (await browser.open("/sign-in/account")).path == "/sign-in"


async def test_signing_out_everywhere_ends_all_tokens(
    browser: Browser, other_browser: Browser, public_app: PublicApp, ada: Person
) -> None:
    tokens = [await sign_in_to_app(one, public_app, ada.email, PASSWORD) for one in (browser, other_browser)]
    page = await browser.submit(await browser.open("/sign-in/account"), 1)
    assert "All devices and apps are signed out" in page.text
    for one in tokens:
        assert (await profile_with(browser.client, one["access_token"])).status_code == 403
    assert (await other_browser.open("/sign-in/account")).path == "/sign-in"


async def test_the_session_before_ends_and_what_was_granted_in_it_goes_on(
    browser: Browser, public_app: PublicApp, ada: Person
) -> None:
    tokens = await sign_in_to_app(browser, public_app, ada.email, PASSWORD)
    before = browser.client.cookies[SESSION_COOKIE]
    await sign_in(browser, ada.email, PASSWORD)
    after = browser.client.cookies[SESSION_COOKIE]
    assert (await profile_with(browser.client, tokens["access_token"])).status_code == 200
    browser.client.cookies.set(SESSION_COOKIE, before, domain="localhost.local", path="/")
    assert (await browser.open("/sign-in/account")).path == "/sign-in"
    browser.client.cookies.clear()
    browser.client.cookies.set(SESSION_COOKIE, after, domain="localhost.local", path="/")
    await browser.submit(await browser.open("/sign-in/account"), 0)
    assert (await profile_with(browser.client, tokens["access_token"])).status_code == 403


async def test_another_person_in_the_same_browser_ends_the_session_before(
    browser: Browser, public_app: PublicApp, ada: Person, pool: asyncpg.Pool
) -> None:
    before = await sign_in_to_app(browser, public_app, ada.email, PASSWORD)
    await pool.execute("INSERT INTO profile (id, email) VALUES ('las:profile:eve', 'eve@example.com')")
    await pool.execute("INSERT INTO password VALUES ('las:profile:eve', $1)", CHEAP.hash(OTHER))
    page = await browser.open("/sign-in")
    await browser.submit(page, email="eve@example.com", password=OTHER)
    assert (await profile_with(browser.client, before["access_token"])).status_code == 403
