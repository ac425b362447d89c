"""People who come to a running stack by its front door: invited by its API, and signed in on its pages.

Nothing is written to the database, and no token is made by a test. Where there is no mail server, codes are
handed out by the operator with ``pagemill people code``.
"""

from __future__ import annotations

import contextlib
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from click.testing import CliRunner

from examples.local_stack import LocalStack
from pagemill.cli import main
from tests.support.browsing import forms_of
from tests.support.front_door import CALLBACK, LOGOUT, new_pkce

PASSWORD = "correct horse battery staple"
LOGIN = "https://app.example.com/login"
MOST_REDIRECTS = 10

Answer = dict[str, Any]


def operator(stack: LocalStack, *command: str) -> str:
    """What an operator's command prints."""
    arguments = [*command, "--data-dir", str(stack.data_directory)]
    result = CliRunner().invoke(main, arguments, env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output
    return result.output


@dataclass(frozen=True, slots=True)
class App:
    """An app through which people sign in, as its administrator has made it."""

    app_client_id: str
    client_id: str


def make_app(admin: httpx.Client) -> App:
    """Make a public app client."""
    body = {
        "name": "App",
        "generateSecret": False,
        "callbackUrls": [CALLBACK],
        "logoutUrls": [LOGOUT],
        "loginUrls": [LOGIN],
        "defaultLoginUrl": LOGIN,
    }
    made = admin.post("/appClients", json=body)
    assert made.status_code == 200, made.text
    return App(made.json()["appClientId"], made.json()["clientId"])


class Visitor:
    """Somebody's browser, without script, on the pages of a stack."""

    def __init__(self, http: httpx.Client, stack: LocalStack, app: App) -> None:
        self._http, self._stack, self._app = http, stack, app
        self._pkce = new_pkce()

    def accept_invitation(self, email: str) -> Answer:
        """Accept an invitation, choose a password, and return the tokens that the app gets."""
        code = operator(self._stack, "people", "code", email).split()[0]
        page = self._open(self._authorization())
        page = self._follow(self._http.get(_link(page, "invitation")))
        names = {"given_name": "Ada", "family_name": "Lovelace"}
        return self._tokens(self._submit(page, email=email, code=code, new_password=PASSWORD, **names))

    def sign_in(self, email: str, password: str = PASSWORD) -> Answer:
        """Sign in with a password; return the tokens that the app gets."""
        return self._tokens(self._submit(self._open(self._authorization()), email=email, password=password))

    def refresh(self, refresh_token: str) -> httpx.Response:
        """Ask for other tokens, as the app does."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self._app.client_id,
            "refresh_token": refresh_token,
        }
        return self._http.post("/oauth2/token", data=form)

    def _authorization(self) -> str:
        parameters = {
            "response_type": "code",
            "client_id": self._app.client_id,
            "redirect_uri": CALLBACK,
            "code_challenge_method": "S256",
            "code_challenge": self._pkce.challenge,
        }
        return str(httpx.URL("/oauth2/authorize", params=parameters))

    def _open(self, url: str) -> httpx.Response:
        return self._follow(self._http.get(url))

    def _submit(self, page: httpx.Response, **filled: str) -> httpx.Response:
        form = next(form for form in forms_of(page.text) if set(filled) <= set(form.fields))
        return self._follow(self._http.post(form.action, data=form.fields | filled))

    def _follow(self, response: httpx.Response) -> httpx.Response:
        """Follow redirects, but not to the app."""
        for _ in range(MOST_REDIRECTS):
            if not response.has_redirect_location or response.headers["location"].startswith(CALLBACK):
                return response
            response = self._http.get(response.headers["location"])
        raise AssertionError("the pages send the browser in circles")

    def _tokens(self, response: httpx.Response) -> Answer:
        assert response.has_redirect_location, response.text
        form = {
            "grant_type": "authorization_code",
            "client_id": self._app.client_id,
            "redirect_uri": CALLBACK,
            "code": httpx.URL(response.headers["location"]).params["code"],
            "code_verifier": self._pkce.verifier,
        }
        answer = self._http.post("/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def _link(page: httpx.Response, word: str) -> str:
    """The address of the page's link that has a word in it."""
    before, _, _ = page.text.partition(f"{word}</a>")
    return before.rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")


@contextlib.contextmanager
def visitor(stack: LocalStack, app: App) -> Iterator[Visitor]:
    """A new browser."""
    trust = ssl.create_default_context(cafile=stack.environment["REQUESTS_CA_BUNDLE"])
    url = f"https://{stack.environment['LAS_AUTH_ENDPOINT']}"
    with httpx.Client(base_url=url, verify=trust, timeout=60) as http:
        yield Visitor(http, stack, app)


def new_address() -> str:
    """An address that nobody has."""
    return f"{uuid.uuid4().hex[:12]}@example.com"


def invite(admin: httpx.Client, app: App, email: str, *role_ids: str) -> str:
    """Invite somebody with roles; return the user's id."""
    body = {"email": email, "appClientId": app.app_client_id, "roleIds": list(role_ids)}
    response = admin.post("/users", json=body)
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "invite_pending"
    return str(response.json()["userId"])
