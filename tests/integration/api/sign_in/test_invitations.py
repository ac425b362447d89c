"""The first sign-in of an invited person activates the user and makes the profile."""

from __future__ import annotations

import asyncpg
import httpx
import pytest

from tests.integration.api.sign_in.conftest import PASSWORD, new_person
from tests.support.browsing import Browser, Page
from tests.support.front_door import PublicApp, new_pkce
from tests.support.mailbox import Mailbox, code_in, text_of
from tests.support.mailed import set_mail
from tests.support.signing_in import authorize_url, profile_with, sign_in, tokens_after
from tests.support.tenants import Tenant

EMAIL = "bob@example.com"
LOGIN = "https://app.example.com/login"
WRONG = "The code is wrong, was used already, or has expired."


async def invite(api: httpx.AsyncClient, email: str = EMAIL, **members: object) -> dict[str, object]:
    response = await api.post("/v1/users", json={"email": email} | members)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def accept(browser: Browser, code: str, *, email: str = EMAIL, url: str = "/sign-in") -> Page:
    """Accept an invitation, from the page that an app leads to."""
    page = await browser.open(url)
    page = await browser.open(page.links["I have an invitation"])
    return await browser.submit(
        page, email=email, code=code, given_name="Bob", family_name="Noyce", new_password=PASSWORD
    )


async def test_from_the_mail_to_the_app(
    browser: Browser, api: httpx.AsyncClient, public_app: PublicApp, mail: Mailbox
) -> None:
    client = {"generateSecret": False, "loginUrls": [LOGIN], "defaultLoginUrl": LOGIN}
    app_client = (await api.post("/v1/appClients", json=client)).json()
    user = await invite(api, "Bob@Example.com", appClientId=app_client["appClientId"])
    assert (user["status"], user["profileId"]) == ("invite_pending", None)
    message = await mail.last(1)
    assert f"Sign in: {LOGIN}" in text_of(message)
    pkce = new_pkce()
    back = await accept(browser, code_in(message), url=authorize_url(public_app, pkce))
    tokens = await tokens_after(browser, public_app, pkce, back)
    profile = (await profile_with(browser.client, tokens["access_token"])).json()
    assert (profile["email"], profile["givenName"], profile["familyName"]) == (EMAIL, "Bob", "Noyce")
    now = (await api.get(f"/v1/users/{user['userId']}")).json()
    assert (now["status"], now["profileId"]) == ("active", profile["profileId"])
    assert (await sign_in(browser, EMAIL, PASSWORD)).path == "/sign-in/account"


async def test_without_an_app_the_mail_leads_to_the_page(
    browser: Browser, api: httpx.AsyncClient, mail: Mailbox
) -> None:
    await invite(api)
    message = await mail.last(1)
    assert "Accept the invitation: https://localhost:8443/sign-in/invitation" in text_of(message)
    done = await accept(browser, code_in(message))
    assert done.path == "/sign-in/account"
    assert "Test organization" in done.text


async def test_a_code_works_once_and_for_its_address_alone(
    browser: Browser, other_browser: Browser, api: httpx.AsyncClient, mail: Mailbox
) -> None:
    await invite(api)
    code = code_in(await mail.last(1))
    for email, typed in (("eve@example.com", code), (EMAIL, f"{code[:-1]}!"), (EMAIL, "")):
        refused = await accept(other_browser, typed, email=email)
        assert (refused.status, refused.alert) == (400, WRONG)
    await accept(browser, code)
    again = await accept(other_browser, code)
    assert (again.status, again.alert) == (400, WRONG)


async def test_an_invitation_is_sent_again_after_a_while(
    browser: Browser, api: httpx.AsyncClient, mail: Mailbox, pool: asyncpg.Pool
) -> None:
    await set_mail(pool, stranger_interval=3600.0)
    user = await invite(api)
    refused = await api.post("/v1/users", json={"email": EMAIL})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    await mail.messages(1)
    await set_mail(pool, stranger_interval=0.0)
    again = await invite(api, metadata={"team": "a"})
    assert (again["userId"], again["metadata"]) == (user["userId"], {"team": "a"})
    first, second = await mail.messages(2)
    refused_page = await accept(browser, code_in(first))
    assert (refused_page.status, refused_page.alert) == (400, WRONG)
    assert (await accept(browser, code_in(second))).path == "/sign-in/account"
    assert (await api.post("/v1/users", json={"email": EMAIL})).status_code == 400


async def test_codes_and_invitations_are_valid_for_90_days(
    api: httpx.AsyncClient, mail: Mailbox, pool: asyncpg.Pool
) -> None:
    await invite(api)
    await mail.messages(1)
    row = await pool.fetchrow(
        """
        SELECT one_time_code.expires_time - now() AS of_code, invitation_expires - now() AS of_user
        FROM one_time_code JOIN organization_user ON organization_user.id = user_id
        """
    )
    assert (round(row["of_code"].total_seconds() / 86400), round(row["of_user"].total_seconds() / 86400)) == (
        90,
        90,
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE organization_user SET invitation_expires = now() WHERE email = 'bob@example.com'",
        "UPDATE organization_user SET status = 'inactive' WHERE email = 'bob@example.com'",
        "DELETE FROM organization_user WHERE email = 'bob@example.com'",
    ],
)
async def test_one_that_is_over_makes_nobody(
    browser: Browser, api: httpx.AsyncClient, mail: Mailbox, pool: asyncpg.Pool, change: str
) -> None:
    await invite(api)
    code = code_in(await mail.last(1))
    await pool.execute(change)
    assert (await accept(browser, code)).status == 400
    assert await pool.fetchval("SELECT count(*) FROM profile WHERE email = $1", EMAIL) == 0
    assert await pool.fetchval("SELECT count(*) FROM sign_in_session") == 0


async def test_an_old_mail_is_not_enough_to_take_over_an_account(
    browser: Browser,
    api: httpx.AsyncClient,
    mail: Mailbox,
    pool: asyncpg.Pool,
    other_organization: Tenant,
) -> None:
    """Whoever has an account elsewhere accepts with its password."""
    person = await new_person(pool, other_organization)
    user = await invite(api, person.email)
    code = code_in(await mail.last(1))
    page = await browser.open("/sign-in/invitation")
    refused = await browser.submit(page, email=person.email, code=code, new_password="zebra kitchen quilt")
    assert refused.status == 400
    assert "You have an account already" in refused.alert
    done = await browser.submit(page, email=person.email, code=code, new_password=PASSWORD)
    assert done.path == "/sign-in/account"
    now = (await api.get(f"/v1/users/{user['userId']}")).json()
    assert (now["status"], now["profileId"]) == ("active", person.profile_id)


async def test_who_has_signed_in_accepts_without_a_code(
    browser: Browser, api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant
) -> None:
    person = await new_person(pool, other_organization)
    user = await invite(api, person.email)
    page = await sign_in(browser, person.email, PASSWORD)
    assert "Accept the invitation" in page.text
    page = await browser.submit(page, 0, button=0)
    assert "Accept the invitation" not in page.text
    assert (await api.get(f"/v1/users/{user['userId']}")).json()["status"] == "active"


async def test_nobody_accepts_for_another(
    browser: Browser, api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant
) -> None:
    eve = await new_person(pool, other_organization)
    user = await invite(api)
    page = await sign_in(browser, eve.email, PASSWORD)
    answer = await browser.client.post(
        "/sign-in/organization", data=page.forms[0].fields | {"user": str(user["userId"])}
    )
    assert answer.status_code == 403
    assert (await api.get(f"/v1/users/{user['userId']}")).json()["status"] == "invite_pending"
