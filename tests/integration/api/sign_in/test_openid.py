"""People sign in at a real OpenID provider, and no answer is believed that is not for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import httpx
import msgspec
import pytest

from pagemill.settings import Settings
from pagemill.stack.bootstrap import seed_roles
from tests.integration.api.resources.test_organizations import add_plan
from tests.integration.api.sign_in.conftest import PASSWORD, new_person
from tests.support.browsing import Browser, Page
from tests.support.front_door import PublicApp, new_pkce
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, openid_providers, sign_in_at
from tests.support.people import Person
from tests.support.signing_in import authorize_url, profile_with, sign_in, tokens_after
from tests.support.tenants import Tenant

CALLBACK = "https://localhost:8443/sign-in/openid/work/callback"
UNTRUSTED = "cannot be trusted"


@pytest.fixture(scope="module")
def issuers() -> Iterator[Mapping[str, str]]:
    """Both providers."""
    with openid_providers(CALLBACK) as running:
        yield running


@pytest.fixture(params=["userinfo", "id_token"])
def issuer(request: pytest.FixtureRequest, issuers: Mapping[str, str]) -> str:
    """It tells the address when it is asked for it, as the standard says, or in the ID token as Google."""
    return issuers[request.param]


@pytest.fixture
def domains() -> list[str]:
    return []


@pytest.fixture
def open_to_all() -> bool:
    return False


@pytest.fixture
def settings(
    settings: Settings, issuer: str, tmp_path: Path, domains: list[str], open_to_all: bool
) -> Settings:
    secret = tmp_path / "client-secret"
    secret.write_text(CLIENT_SECRET)
    configured = {
        "name": "work",
        "title": "Work account",
        "issuer": issuer,
        "clientId": CLIENT_ID,
        "clientSecretFile": str(secret),
        "domains": domains,
    }
    return msgspec.structs.replace(
        settings,
        openid_providers=json.dumps([configured]),
        openid_private_providers=True,
        sign_up=open_to_all,
    )


async def leave(browser: Browser, *, url: str = "/sign-in") -> Page:
    """Choose the provider on the sign-in page."""
    page = await browser.open(url)
    return await browser.open(page.links["Sign in with Work account"])


async def come_back(browser: Browser, left: Page, name: str) -> Page:
    """Sign in there, and go where that leads."""
    return await browser.open(await sign_in_at(left.left_for, name, stop_at=CALLBACK))


async def invite(api: httpx.AsyncClient, name: str) -> str:
    response = await api.post("/v1/users", json={"email": f"{name}@example.com"})
    return str(response.json()["userId"])


async def test_the_first_sign_in_of_an_invited_person(
    browser: Browser, api: httpx.AsyncClient, public_app: PublicApp, issuer: str
) -> None:
    user_id = await invite(api, "bob")
    pkce = new_pkce()
    left = await leave(browser, url=authorize_url(public_app, pkce, state="s1"))
    assert left.left_for.startswith(f"{issuer}/")
    assert left.sent["code_challenge_method"] == "S256"
    assert {"state", "nonce", "code_challenge", "redirect_uri", "scope"} <= left.sent.keys()
    back = await come_back(browser, left, "bob")
    assert back.sent["state"] == "s1"
    tokens = await tokens_after(browser, public_app, pkce, back)
    profile = (await profile_with(browser.client, tokens["access_token"])).json()
    assert (profile["email"], profile["givenName"], profile["familyName"]) == (
        "bob@example.com",
        "bob",
        "Lovelace",
    )
    assert (await api.get(f"/v1/users/{user_id}")).json()["status"] == "active"


async def test_an_account_is_known_again(
    browser: Browser, other_browser: Browser, api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    await invite(api, "bob")
    await come_back(browser, await leave(browser), "bob")
    # The account decides, not the address.
    await pool.execute("UPDATE profile SET email = 'robert@example.com' WHERE email = 'bob@example.com'")
    page = await come_back(other_browser, await leave(other_browser), "bob")
    assert page.path == "/sign-in/account"
    assert "robert@example.com" in page.text
    assert "Work account connected" in page.text
    assert await pool.fetchval("SELECT count(*) FROM identity") == 1


async def test_the_account_of_who_has_a_password_is_connected_by_signing_in_with_it(
    browser: Browser, public_app: PublicApp, ada: Person, pool: asyncpg.Pool, organization: Tenant
) -> None:
    """An address alone opens no account that is there: it may have changed hands."""
    eve = await new_person(pool, organization)
    name, pkce = ada.email.partition("@")[0], new_pkce()
    page = await come_back(browser, await leave(browser, url=authorize_url(public_app, pkce)), name)
    assert (page.status, page.path) == (200, "/sign-in")
    assert "There is an account with the e-mail address of your Work account already" in page.text
    assert await pool.fetchval("SELECT count(*) FROM sign_in_session") == 0
    refused = await browser.submit(page, email=ada.email, password="not the password")
    assert refused.status == 400
    assert await pool.fetchval("SELECT count(*) FROM identity") == 0
    back = await browser.submit(refused, email=ada.email, password=PASSWORD)
    await tokens_after(browser, public_app, pkce, back)
    assert await pool.fetchval("SELECT profile_id FROM identity") == ada.profile_id
    await browser.submit(await browser.open("/sign-in/account"), 0)
    page = await come_back(browser, await leave(browser), name)
    assert page.path == "/sign-in/account"
    # Another person's sign-in connects nothing.
    page = await come_back(browser, await leave(browser), eve.email.partition("@")[0])
    assert "There is an account" in page.text
    await browser.submit(page, email=ada.email, password=PASSWORD)
    assert await pool.fetchval("SELECT count(*) FROM identity") == 1
    assert "There is an account" not in (await browser.open("/sign-in")).text


@pytest.mark.parametrize("domains", [["example.com"]])
async def test_a_provider_that_decides_about_a_domain_opens_its_accounts(
    browser: Browser, ada: Person, pool: asyncpg.Pool, domains: list[str]
) -> None:
    page = await come_back(browser, await leave(browser), ada.email.partition("@")[0])
    assert page.path == "/sign-in/account"
    assert await pool.fetchval("SELECT profile_id FROM identity") == ada.profile_id
    assert (await sign_in(browser, ada.email, PASSWORD)).path == "/sign-in/account"


@pytest.mark.parametrize("name", ["stranger", "unverified-bob"])
async def test_who_is_unknown_or_unverified_is_nobody(
    browser: Browser, api: httpx.AsyncClient, pool: asyncpg.Pool, name: str
) -> None:
    await invite(api, "unverified-bob")
    page = await come_back(browser, await leave(browser), name)
    assert page.status == 400
    assert "not known here" in page.alert
    assert await pool.fetchval("SELECT count(*) FROM identity") == 0
    assert await pool.fetchval("SELECT count(*) FROM sign_in_session") == 0


@pytest.mark.parametrize("domains", [["example.org"]])
async def test_a_provider_is_believed_about_its_domains_alone(
    browser: Browser, ada: Person, pool: asyncpg.Pool, domains: list[str]
) -> None:
    page = await come_back(browser, await leave(browser), ada.email.partition("@")[0])
    assert "not known here" in page.alert
    assert await pool.fetchval("SELECT count(*) FROM identity") == 0


async def test_an_answer_is_for_the_browser_that_was_sent_alone(
    browser: Browser, other_browser: Browser, api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    await invite(api, "bob")
    mine, theirs = await leave(browser), await leave(other_browser)
    url = await sign_in_at(mine.left_for, "bob", stop_at=CALLBACK)
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    wrong = [
        (other_browser, parameters),
        (other_browser, parameters | {"state": theirs.sent["state"]}),
        (browser, parameters | {"state": parameters["state"][:-1] + "!"}),
        (browser, parameters | {"state": ""}),
        (browser, {"code": parameters["code"]}),
        (browser, parameters | {"iss": "https://evil.example.com"}),
        (browser, parameters | {"code": ""}),
        (browser, {"state": parameters["state"], "error": "access_denied"}),
    ]
    # Each answer ends the journey of its state: the wrong ones that get so far come last.
    for asked, sent in wrong:
        page = await asked.open(f"{CALLBACK}?{urlencode(sent)}")
        assert page.status == 400, sent
    assert await pool.fetchval("SELECT count(*) FROM sign_in_session") == 0


async def test_an_answer_is_good_once(browser: Browser, api: httpx.AsyncClient) -> None:
    await invite(api, "bob")
    url = await sign_in_at((await leave(browser)).left_for, "bob", stop_at=CALLBACK)
    assert (await browser.open(url)).path == "/sign-in/account"
    assert (await browser.open(url)).status == 400


async def test_a_code_of_another_journey_is_refused(
    browser: Browser, other_browser: Browser, api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    """The code of somebody else's browser, put into one's own answer: verifier and nonce do not fit."""
    await invite(api, "bob")
    stolen = await sign_in_at((await leave(other_browser)).left_for, "bob", stop_at=CALLBACK)
    own = await sign_in_at((await leave(browser)).left_for, "eve", stop_at=CALLBACK)
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    state = parse_qs(urlsplit(own).query)["state"][0]
    page = await browser.open(f"{CALLBACK}?{urlencode({'code': code, 'state': state})}")
    assert page.status == 400
    assert await pool.fetchval("SELECT count(*) FROM sign_in_session") == 0


async def test_a_long_request_survives_the_journey(
    browser: Browser, api: httpx.AsyncClient, public_app: PublicApp
) -> None:
    await invite(api, "bob")
    pkce, state = new_pkce(), "s" * 1500
    left = await leave(browser, url=authorize_url(public_app, pkce, state=state))
    assert all(len(f"{name}={value}") < 4096 for name, value in browser.client.cookies.items())
    back = await come_back(browser, left, "bob")
    assert back.sent["state"] == state
    await tokens_after(browser, public_app, pkce, back)


async def test_journeys_that_never_end_do_not_pile_up(browser: Browser) -> None:
    for _ in range(8):
        left = await leave(browser)
    kept = [name for name in browser.client.cookies if "openid" in name or "request" in name]
    assert 2 <= len(kept) <= 4
    assert "not known here" in (await come_back(browser, left, "stranger")).alert


@pytest.mark.parametrize("open_to_all", [True])
async def test_with_sign_up_anybody_with_a_verified_address_gets_an_organization(
    browser: Browser, pool: asyncpg.Pool, open_to_all: bool
) -> None:
    async with pool.acquire() as connection:
        await seed_roles(connection)
    await add_plan(pool, "self-hosted", 1)
    refused = await come_back(browser, await leave(browser), "unverified-eve")
    assert "not known here" in refused.alert
    for _ in range(2):
        page = await come_back(browser, await leave(browser), "eve")
        assert page.path == "/sign-in/account"
    owned = await pool.fetch("SELECT status, role_ids FROM organization_user WHERE email = 'eve@example.com'")
    assert [(row["status"], row["role_ids"]) for row in owned] == [("active", ["las:role:admin"])]
