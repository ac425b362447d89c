"""The ways of people through the pages, as tests walk them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx

from tests.support.browsing import Browser, Page
from tests.support.front_door import CALLBACK, Pkce, PublicApp, authorization_of, exchange_of, new_pkce


def authorize_url(app: PublicApp, pkce: Pkce | None = None, **changes: str) -> str:
    """The URL that an app sends a browser to."""
    return f"/oauth2/authorize?{urlencode(authorization_of(app, pkce or new_pkce(), **changes))}"


async def sign_in(browser: Browser, email: str, password: str, *, url: str = "/sign-in") -> Page:
    """Sign in with a password; return where that leads."""
    page = await browser.open(url)
    return await browser.submit(page, email=email, password=password)


async def tokens_after(browser: Browser, app: PublicApp, pkce: Pkce, page: Page) -> dict[str, Any]:
    """The tokens that an app gets for the code with which a browser came back."""
    assert page.left_for.startswith(CALLBACK), (page.status, page.text)
    response = await browser.client.post("/oauth2/token", params=exchange_of(app, pkce, page.sent["code"]))
    assert response.status_code == 200, response.text
    return dict(response.json())


async def sign_in_to_app(browser: Browser, app: PublicApp, email: str, password: str) -> dict[str, Any]:
    """Sign in for an app, and return the tokens that it gets."""
    pkce = new_pkce()
    page = await sign_in(browser, email, password, url=authorize_url(app, pkce))
    return await tokens_after(browser, app, pkce, page)


async def profile_with(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """What an app learns of its user."""
    headers = {"Authorization": f"Bearer {token}"}
    return await client.get("/v1/profiles/me", headers=headers)
