"""A code by mail lets a person choose a new password, and nobody learns from the pages who has an account."""

from __future__ import annotations

import asyncpg
import httpx
import pytest

from pagemill.people.one_time_codes import RULES
from pagemill.people.password_rules import TOO_SHORT
from tests.integration.api.sign_in.conftest import PASSWORD
from tests.support.browsing import Browser, Page
from tests.support.front_door import PublicApp, new_pkce
from tests.support.mailbox import Mailbox, code_in, text_of
from tests.support.people import Person
from tests.support.signing_in import authorize_url, profile_with, sign_in, sign_in_to_app, tokens_after

OTHER = "zebra kitchen quilt"
WRONG = "The code is wrong, was used already, or has expired."


async def ask(browser: Browser, email: str, *, url: str = "/sign-in") -> Page:
    """Ask for a code, as a person does who does not know the password."""
    page = await browser.open(url)
    page = await browser.open(page.links["Forgot your password?"])
    return await browser.submit(page, email=email)


async def test_from_an_app_to_a_new_password_and_back(
    browser: Browser, other_browser: Browser, public_app: PublicApp, ada: Person, mail: Mailbox
) -> None:
    elsewhere = await sign_in_to_app(other_browser, public_app, ada.email, PASSWORD)
    pkce = new_pkce()
    page = await ask(browser, ada.email, url=authorize_url(public_app, pkce))
    message = await mail.last(1)
    assert (message["To"], message["Subject"]) == (ada.email, "Your code for a new password")
    assert "https://localhost:8443/sign-in/recovery/code" in text_of(message)
    refused = await browser.submit(page, code=code_in(message), new_password="short")
    assert (refused.status, refused.alert) == (400, TOO_SHORT)
    back = await browser.submit(page, code=code_in(message).lower().replace("-", " "), new_password=OTHER)
    await tokens_after(browser, public_app, pkce, back)
    assert (await profile_with(browser.client, elsewhere["access_token"])).status_code == 403
    assert (await sign_in(other_browser, ada.email, PASSWORD)).status == 400
    assert (await sign_in(other_browser, ada.email, OTHER)).path == "/sign-in/account"
    assert (await mail.last(2))["Subject"] == "Your password was changed"


async def test_mail_leads_here_whatever_host_was_asked(browser: Browser, ada: Person, mail: Mailbox) -> None:
    for name in ("Host", "X-Forwarded-Host", "Forwarded"):
        browser.client.headers[name] = "host=evil.example.com" if name == "Forwarded" else "evil.example.com"
    page = await ask(browser, ada.email)
    assert "evil" not in page.html
    message = await mail.last(1)
    assert "https://localhost:8443/sign-in/recovery/code" in text_of(message)
    assert "evil" not in message.as_string()


async def test_a_code_works_once_and_for_its_address_alone(
    browser: Browser, ada: Person, mail: Mailbox
) -> None:
    page = await ask(browser, ada.email)
    code = code_in(await mail.last(1))
    refused = await browser.submit(page, email="eve@example.com", code=code, new_password=OTHER)
    assert (refused.status, refused.alert) == (400, WRONG)
    done = await browser.submit(page, code=code, new_password=OTHER)
    assert done.path == "/sign-in/account"
    again = await browser.open("/sign-in/recovery/code")
    refused = await browser.submit(again, email=ada.email, code=code, new_password=PASSWORD)
    assert (refused.status, refused.alert) == (400, WRONG)


async def test_unknown_addresses_get_the_same_page_and_no_mail(
    browser: Browser, ada: Person, mail: Mailbox, pool: asyncpg.Pool
) -> None:
    known, unknown = await ask(browser, ada.email), await ask(browser, "nobody@example.com")
    assert (known.status, known.text) == (unknown.status, unknown.text)
    assert [one["To"] for one in await mail.messages(1)] == [ada.email]
    assert await pool.fetchval("SELECT count(*) FROM one_time_code") == 1


@pytest.mark.parametrize(
    "change",
    ["expires_time = now()", "used_time = now()", "purpose = 'verify'", "email = 'eve@example.com'"],
)
async def test_a_code_that_does_not_work(
    browser: Browser, ada: Person, mail: Mailbox, pool: asyncpg.Pool, change: str
) -> None:
    page = await ask(browser, ada.email)
    code = code_in(await mail.last(1))
    await pool.execute(f"UPDATE one_time_code SET {change}")
    refused = await browser.submit(page, code=code, new_password=OTHER)
    assert (refused.status, refused.alert) == (400, WRONG)


async def test_no_table_and_no_job_holds_a_code(
    browser: Browser, ada: Person, mail: Mailbox, pool: asyncpg.Pool
) -> None:
    await ask(browser, ada.email)
    code = code_in(await mail.last(1))
    for table in ("one_time_code", "job", "audit_event"):
        rows = await pool.fetch(f"SELECT row::text AS text FROM {table} AS row")
        assert rows, table
        for row in rows:
            assert code not in row["text"]
            assert code.replace("-", "") not in row["text"]


async def test_an_address_gets_few_codes_in_an_hour(
    browser: Browser, other_browser: Browser, ada: Person, mail: Mailbox
) -> None:
    for number in range(RULES["recover"].hourly + 3):
        page = await ask(browser if number % 2 else other_browser, ada.email)
        assert page.status == 200
    await mail.messages(RULES["recover"].hourly)


async def test_who_was_invited_can_begin_with_a_code_too(
    browser: Browser, api: httpx.AsyncClient, mail: Mailbox, public_app: PublicApp
) -> None:
    user = (await api.post("/v1/users", json={"email": "bob@example.com"})).json()
    pkce = new_pkce()
    page = await ask(browser, "bob@example.com", url=authorize_url(public_app, pkce))
    messages = {message["Subject"]: message for message in await mail.messages(2)}
    message = messages["Your code for a new password"]
    assert "You are invited to Test organization" in messages
    back = await browser.submit(page, code=code_in(message), new_password=OTHER)
    await tokens_after(browser, public_app, pkce, back)
    now = (await api.get(f"/v1/users/{user['userId']}")).json()
    assert now["status"] == "active"
    assert now["profileId"] is not None
