"""Forms of our own pages alone are obeyed, pages load nothing, and nobody is sent elsewhere."""

from __future__ import annotations

import re
from urllib.parse import quote

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from pagemill.api.auth.session_cookies import SESSION_COOKIE
from pagemill.api.sign_in.cookies import FORM_COOKIE
from pagemill.settings import Settings
from tests.integration.api.sign_in.conftest import PASSWORD
from tests.support.browsing import ORIGIN, Browser
from tests.support.front_door import PublicApp
from tests.support.people import Person
from tests.support.signing_in import authorize_url, sign_in

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With all pages."""
    return msgspec.structs.replace(settings, sign_up=True)


def posts(app: Litestar) -> list[str]:
    return sorted(
        route.path
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/sign-in") and "POST" in route.methods
    )


def shown(app: Litestar) -> list[str]:
    return sorted(
        route.path
        for route in app.routes
        if isinstance(route, HTTPRoute)
        and route.path.startswith("/sign-in")
        and "GET" in route.methods
        and "{" not in route.path
        and "." not in route.path
    )


async def test_no_form_is_obeyed_without_the_token_of_its_browser(
    app: Litestar, browser: Browser, other_browser: Browser, ada: Person, pool: asyncpg.Pool
) -> None:
    await sign_in(browser, ada.email, PASSWORD)
    own = (await browser.open("/sign-in/account")).forms[0].fields
    foreign = (await other_browser.open("/sign-in")).forms[0].fields
    kept = await pool.fetch("SELECT * FROM sign_in_session ORDER BY id_hash")
    paths = posts(app)
    assert len(paths) >= 9
    for path in paths:
        for fields, headers in (
            ({"email": ada.email}, {}),
            ({"token": ""}, {}),
            ({"token": "x~AAAA"}, {}),
            (foreign, {}),
            (own, {"Sec-Fetch-Site": "cross-site"}),
            (own, {"Sec-Fetch-Site": "same-site"}),
        ):
            answer = await browser.client.post(path, data=fields, headers=headers)
            assert answer.status_code == 403, (path, fields, headers)
            assert "text/html" in answer.headers["content-type"]
    cookies = {name: value for name, value in browser.client.cookies.items() if name != FORM_COOKIE}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as bare:
        bare.cookies.update(cookies)
        for path in paths:
            assert (await bare.post(path, data=own)).status_code == 403
    # seen_time alone may have changed.
    now = await pool.fetch("SELECT * FROM sign_in_session ORDER BY id_hash")
    assert [(row["id_hash"], row["ended_time"]) for row in now] == [
        (row["id_hash"], row["ended_time"]) for row in kept
    ]


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"token=%00", FORM, 400),
        (b"token=%ff", FORM, 400),
        (b"&".join(b"a%d=1" % number for number in range(50)), FORM, 400),
        (b"x" * 20_000, FORM, 413),
        (b'{"token": "x"}', "application/json", 400),
        (b"token=x", "text/plain", 400),
        (b"", FORM, 403),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(
    browser: Browser, content: bytes, content_type: str, status: int
) -> None:
    await browser.open("/sign-in")
    answer = await browser.client.post("/sign-in", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert "text/html" in answer.headers["content-type"]
    assert "Traceback" not in answer.text


async def test_every_page_has_a_strict_policy_and_loads_one_style_sheet(
    app: Litestar, browser: Browser, ada: Person
) -> None:
    for signed_in in (False, True):
        if signed_in:
            await sign_in(browser, ada.email, PASSWORD)
        for path in shown(app):
            page = await browser.open(path)
            assert page.status == 200, path
            policy = page.headers["content-security-policy"]
            assert policy == (
                "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
                "frame-ancestors 'none'; "
                "form-action 'self'"
            )
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["referrer-policy"] == "no-referrer"
            assert page.headers["x-frame-options"] == "DENY"
            assert re.findall(r"<script|<img|<iframe|style=|\son[a-z]+=", page.html) == []
            [icon] = re.findall(r'<link rel="icon" type="image/svg\+xml" href="([^"]+)">', page.html)
            assert (await browser.client.get(icon)).headers["content-type"].startswith("image/svg+xml")
            [sheet] = re.findall(r'<link rel="stylesheet" href="([^"]+)">', page.html)
            style = await browser.client.get(sheet)
            assert style.status_code == 200
            assert "immutable" in style.headers["cache-control"]
            assert not re.search(r"@import|url\(", style.text)


async def test_no_other_site_reads_a_page_as_the_person(browser: Browser, ada: Person) -> None:
    await sign_in(browser, ada.email, PASSWORD)
    answer = await browser.client.get("/sign-in/account", headers={"Origin": "https://evil.example.com"})
    assert answer.status_code == 200
    # Without this header browsers show no script of another site what was answered to cookies.
    assert "access-control-allow-credentials" not in answer.headers


async def test_the_form_may_lead_to_the_app_alone(browser: Browser, public_app: PublicApp) -> None:
    page = await browser.open(authorize_url(public_app))
    assert page.headers["content-security-policy"].endswith("form-action 'self' https://app.example.com")


@pytest.mark.parametrize("sealed", ["x", "a.b.c", "https://evil.example.com", "null", "%00", "é"])
async def test_a_request_that_was_not_sealed_here_is_refused(
    browser: Browser, ada: Person, sealed: str
) -> None:
    page = await browser.open(f"/sign-in?request={quote(sealed, safe='%')}")
    assert page.status == 400
    assert page.forms == []
    form = await browser.open("/sign-in")
    answer = await browser.client.post(
        "/sign-in",
        data=form.forms[0].fields | {"email": ada.email, "password": PASSWORD, "request": "a.b.c"},
    )
    assert answer.status_code == 400
    assert SESSION_COOKIE not in browser.client.cookies


@pytest.mark.parametrize("name", ["next", "return_to", "redirect_uri", "continue", "url"])
async def test_no_parameter_leads_elsewhere(browser: Browser, ada: Person, name: str) -> None:
    page = await browser.open(f"/sign-in?{name}=https://evil.example.com")
    done = await browser.submit(page, email=ada.email, password=PASSWORD)
    assert done.path == "/sign-in/account"
    assert "evil" not in page.html + done.html


async def test_what_is_typed_is_shown_as_text(browser: Browser) -> None:
    page = await sign_in(browser, '"><script>alert(1)</script>@example.com', "x")
    assert "<script" not in page.html


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/sign-in/nothing", 404), ("PUT", "/sign-in", 405), ("GET", "/sign-in/openid/none", 404)],
)
async def test_errors_below_the_pages(browser: Browser, method: str, path: str, status: int) -> None:
    assert (await browser.client.request(method, path)).status_code == status


async def test_pages_are_not_in_the_api_document(app: Litestar) -> None:
    assert not any(path.startswith("/sign-in") for path in app.openapi_schema.to_schema()["paths"])
