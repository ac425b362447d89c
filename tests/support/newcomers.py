"""People who come to a running stack by its front door: invited by mail, and signed in on its pages.

Nothing is written to the database, and no token is made by a test.
"""

from __future__ import annotations

import contextlib
import email.policy
import ssl
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, cast

import httpx
from click.testing import CliRunner

from examples.local_stack import LocalStack
from pagemill.cli import main
from tests.support.browsing import forms_of
from tests.support.clients import plain_client
from tests.support.front_door import CALLBACK, LOGOUT, new_pkce
from tests.support.mail_server import MailServer
from tests.support.mailbox import code_in

PASSWORD = "correct horse battery staple"
LOGIN = "https://app.example.com/login"
MOST_REDIRECTS = 10
MAIL_SECONDS = 60.0

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

    def __init__(self, http: httpx.Client, app: App) -> None:
        self._http, self._app = http, app
        self._pkce = new_pkce()

    def accept_invitation(self, address: str, code: str) -> Answer:
        """Accept an invitation, choose a password, and return the tokens that the app gets."""
        page = self._open(self._authorization())
        page = self._follow(self._http.get(_link(page, "invitation")))
        names = {"given_name": "Ada", "family_name": "Lovelace"}
        return self._tokens(self._submit(page, email=address, code=code, new_password=PASSWORD, **names))

    def sign_in(self, address: str, password: str = PASSWORD) -> Answer:
        """Sign in with a password; return the tokens that the app gets."""
        return self._tokens(self._submit(self._open(self._authorization()), email=address, password=password))

    def refresh(self, refresh_token: str) -> httpx.Response:
        """Ask for other tokens, as the app does."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self._app.client_id,
            "refresh_token": refresh_token,
        }
        return self._http.post("/oauth2/token", data=form)

    def sign_out(self) -> None:
        """Sign out, as the app does."""
        answer = self._http.get("/logout", params={"client_id": self._app.client_id, "logout_uri": LOGOUT})
        assert answer.headers["location"] == LOGOUT

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


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who has come in."""

    user_id: str
    email: str
    tokens: Answer
    api: httpx.Client
    browser: Visitor


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """Where people come in: a stack with an admin who invites them, their app, and their mail."""

    stack: LocalStack
    admin: httpx.Client
    app: App
    mail: MailServer

    @contextlib.contextmanager
    def newcomer(self, *role_ids: str) -> Iterator[Newcomer]:
        """Invite somebody with roles, and let the person come in by the mail."""
        address = new_address()
        user_id = self._invite(address, *role_ids)
        with self.visitor() as browser:
            tokens = browser.accept_invitation(address, code_in(self.message_to(address)))
            with plain_client(self.stack, tokens["access_token"]) as api:
                yield Newcomer(user_id, address, tokens, api, browser)

    @contextlib.contextmanager
    def visitor(self) -> Iterator[Visitor]:
        """A new browser."""
        trust = ssl.create_default_context(cafile=self.stack.environment["REQUESTS_CA_BUNDLE"])
        url = f"https://{self.stack.environment['LAS_AUTH_ENDPOINT']}"
        with httpx.Client(base_url=url, verify=trust, timeout=60) as http:
            yield Visitor(http, self.app)

    def status_of(self, token: str) -> int:
        """How the API answers to an access token."""
        with plain_client(self.stack, token) as api:
            return api.get("/profiles/me").status_code

    def message_to(self, address: str) -> EmailMessage:
        """Wait for the mail to somebody; return the newest."""
        deadline = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < deadline:
            for envelope in reversed(self.mail.taken):
                if address in envelope.rcpt_tos:
                    content = cast("bytes", envelope.original_content)
                    return email.message_from_bytes(content, policy=email.policy.default)
            time.sleep(0.1)
        raise AssertionError(f"no mail has come to {address}")

    def _invite(self, address: str, *role_ids: str) -> str:
        """Invite somebody; return the user's id."""
        body = {"email": address, "appClientId": self.app.app_client_id, "roleIds": list(role_ids)}
        response = self.admin.post("/users", json=body)
        assert response.status_code == 200, response.text
        assert response.json()["status"] == "invite_pending"
        return str(response.json()["userId"])


def new_address() -> str:
    """An address that nobody has."""
    return f"{uuid.uuid4().hex[:12]}@example.com"
