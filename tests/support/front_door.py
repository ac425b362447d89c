"""People and programs that come in by the front door: what the browser SDK and the other clients send, over
HTTP."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from db.app_clients import insert_app_client
from db.statements import Connection
from pagemill.api.auth.session_cookies import SESSION_COOKIE
from pagemill.client_credentials import new_client_id
from pagemill.ids import AppClientId, OrganizationId, ProfileId, new_id
from pagemill.people.sessions import SessionCookie, begin_session
from tests.support.people import Person

CALLBACK = "https://app.example.com/callback"
LOGOUT = "https://app.example.com/bye"
SESSION_SECONDS = 3600.0

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PublicApp:
    """An app client without a secret, through which users sign in."""

    organization_id: OrganizationId
    app_client_id: AppClientId
    client_id: str


@dataclass(frozen=True, slots=True)
class Pkce:
    """What a browser keeps of an authorization request until the code comes."""

    verifier: str
    challenge: str


def new_pkce() -> Pkce:
    """A verifier of 64 characters, as the browser SDK makes it, and its challenge."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return Pkce(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


async def add_public_app(connection: Connection, organization_id: OrganizationId) -> PublicApp:
    """A public app client with a callback and a logout URL; it is not counted against the plan."""
    app = PublicApp(organization_id, new_id(AppClientId), new_client_id())
    await insert_app_client(
        connection,
        organization_id=organization_id,
        app_client_id=app.app_client_id,
        client_id=app.client_id,
        secret_hash=None,
        name="App",
        description=None,
        configuration={"callbackUrls": [CALLBACK], "logoutUrls": [LOGOUT]},
        role_ids=[],
        created_by=None,
    )
    return app


async def browser_session(connection: Connection, profile_id: ProfileId) -> SessionCookie:
    """The cookie of somebody who has signed in."""
    return await begin_session(connection, profile_id, "127.0.0.1", "tests", seconds=SESSION_SECONDS)


def with_session(cookie: str) -> dict[str, str]:
    """Headers of a browser with this session."""
    return {"Cookie": f"{SESSION_COOKIE}={cookie}"}


def authorization_of(app: PublicApp, pkce: Pkce, **changes: str) -> dict[str, str]:
    """Parameters that the browser SDK sends to ``/oauth2/authorize``."""
    return {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": CALLBACK,
        "code_challenge_method": "S256",
        "code_challenge": pkce.challenge,
        **changes,
    }


def exchange_of(app: PublicApp, pkce: Pkce, code: str, **changes: str) -> dict[str, str]:
    """Parameters that it sends to ``/oauth2/token`` for a code."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": app.client_id,
        "redirect_uri": CALLBACK,
        "code_verifier": pkce.verifier,
        **changes,
    }


def refresh_of(app: PublicApp, refresh_token: str) -> dict[str, str]:
    """Parameters that it sends to ``/oauth2/token`` for another access token."""
    return {"grant_type": "refresh_token", "client_id": app.client_id, "refresh_token": refresh_token}


def answered(response: httpx.Response) -> dict[str, str]:
    """The parameters that a redirect brings to the app."""
    assert response.status_code in (302, 303), response.text
    location = urlsplit(response.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == CALLBACK, location
    return {name: value for name, (value,) in parse_qs(location.query).items()}


async def code_for(http: httpx.AsyncClient, app: PublicApp, pkce: Pkce, cookie: str, **changes: str) -> str:
    """A code for somebody who has signed in."""
    parameters = authorization_of(app, pkce, **changes)
    response = await http.get("/oauth2/authorize", params=parameters, headers=with_session(cookie))
    return answered(response)["code"]


async def sign_in(http: httpx.AsyncClient, app: PublicApp, cookie: str, **changes: str) -> Answer:
    """Tokens of somebody who has signed in, by authorization code."""
    pkce = new_pkce()
    code = await code_for(http, app, pkce, cookie, **changes)
    response = await http.post("/oauth2/token", params=exchange_of(app, pkce, code))
    assert response.status_code == 200, response.text
    answer: Answer = response.json()
    return answer


async def token_of_person(http: httpx.AsyncClient, connection: Connection, person: Person) -> str:
    """The access token of a user, through an app client of the organization that is made for it."""
    app = await add_public_app(connection, person.organization_id)
    cookie = await browser_session(connection, person.profile_id)
    return str((await sign_in(http, app, cookie))["access_token"])


async def token_of_client(http: httpx.AsyncClient, client_id: str, client_secret: str) -> str:
    """The access token of an app client."""
    response = await http.post(
        "/oauth2/token", params={"grant_type": "client_credentials"}, auth=(client_id, client_secret)
    )
    assert response.status_code == 200, response.text
    return str(response.json()["access_token"])
