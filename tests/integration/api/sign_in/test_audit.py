"""The audit has who signed in and who tried, from where and how, and no secrets."""

from __future__ import annotations

import asyncpg

from tests.integration.api.sign_in.conftest import PASSWORD
from tests.support.browsing import Browser
from tests.support.front_door import PublicApp
from tests.support.mailbox import Mailbox, code_in
from tests.support.people import Person
from tests.support.signing_in import authorize_url, sign_in


async def test_sign_ins_and_refusals(
    browser: Browser, public_app: PublicApp, ada: Person, pool: asyncpg.Pool
) -> None:
    await sign_in(browser, "nobody@example.com", "not the password")
    await sign_in(browser, ada.email, "not the password")
    await sign_in(browser, ada.email, PASSWORD, url=authorize_url(public_app))
    await browser.submit(await browser.open("/sign-in/account"), 1)
    rows = await pool.fetch("SELECT * FROM audit_event WHERE action LIKE 'sign%' ORDER BY time, id")
    assert [(row["action"], row["outcome"], row["profile_id"]) for row in rows] == [
        ("signIn", "refused", None),
        ("signIn", "refused", ada.profile_id),
        ("signIn", "succeeded", ada.profile_id),
        ("signOutEverywhere", "succeeded", ada.profile_id),
    ]
    assert {row["address"] for row in rows} == {"192.0.2.7"}
    assert all(row["request_id"] for row in rows)
    # For an app of the organization, its admins see it.
    assert rows[2]["organization_id"] == ada.organization_id
    assert rows[2]["details"] == {"way": "password"}


async def test_no_secret_is_in_it(browser: Browser, ada: Person, pool: asyncpg.Pool, mail: Mailbox) -> None:
    page = await browser.submit(await browser.open("/sign-in/recovery"), email=ada.email)
    code, new = code_in(await mail.last(1)), "zebra kitchen quilt"
    await browser.submit(page, code="0000-0000-0000", new_password=new)
    await browser.submit(page, code=code, new_password=new)
    await mail.messages(2)
    rows = await pool.fetch(
        "SELECT action, outcome, row::text AS text FROM audit_event AS row ORDER BY time, id"
    )
    assert [(row["action"], row["outcome"]) for row in rows] == [
        ("requestCode", "succeeded"),
        ("tryCode", "refused"),
        ("changePassword", "succeeded"),
        ("signIn", "succeeded"),
    ]
    for row in rows:
        assert code not in row["text"]
        assert new not in row["text"]
