"""What the protocol decides on the rows that a request names; no database is needed for it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from db.authorization_codes import AuthorizationCodeRow
from db.refresh_tokens import RefreshTokenRow
from pagemill.api.auth.authorization_server import (
    Client,
    Facts,
    ProtocolAnswer,
    ProtocolRequest,
    ProtocolServer,
)
from pagemill.client_credentials import hash_secret

URL = "https://app.example.com/callback"
VERIFIER = "v" * 64
TOKEN = {"access_token": "token", "expires_in": 1}
NOW = datetime.datetime.now(datetime.UTC)

Parameters = dict[str, str]


def confidential(*, callback_urls: tuple[str, ...] = ()) -> Client:
    return Client(
        client_id="confidential",
        organization_id="las:organization:a",
        principal_id="las:app-client:confidential",
        secret_hash=hash_secret("secret"),
        previous_secret_hash=hash_secret("former"),
        token_epoch=3,
        callback_urls=callback_urls,
    )


def public() -> Client:
    return Client(
        client_id="public",
        organization_id="las:organization:a",
        principal_id="las:app-client:public",
        secret_hash=None,
        callback_urls=[URL],
    )


def code(**changes: Any) -> AuthorizationCodeRow:
    values: dict[str, Any] = {
        "code_hash": "hash",
        "organization_id": "las:organization:a",
        "app_client_id": "las:app-client:public",
        "user_id": "las:user:a",
        "session_id_hash": None,
        "redirect_uri": URL,
        "code_challenge": create_s256_code_challenge(VERIFIER),
        "scope": None,
        "nonce": None,
        "grant_id": None,
        "is_expired": False,
        "session_is_over": False,
        "user_is_active": True,
        "signed_in_time": NOW,
    }
    return AuthorizationCodeRow(**(values | changes))


def refresh_token(**changes: Any) -> RefreshTokenRow:
    values: dict[str, Any] = {
        "organization_id": "las:organization:a",
        "grant_id": "las:grant:a",
        "user_id": "las:user:a",
        "app_client_id": "las:app-client:public",
        "scope": None,
        "generation": 0,
        "is_over": False,
        "is_reused": False,
        "user_is_active": True,
    }
    return RefreshTokenRow(**(values | changes))


def answer_to(facts: Facts, parameters: Parameters) -> ProtocolAnswer:
    server = ProtocolServer(facts, lambda **_: dict(TOKEN))
    request = ProtocolRequest("POST", {name: [value] for name, value in parameters.items()})
    answer: ProtocolAnswer = server.create_token_response(request)
    return answer


CREDENTIALS = {"grant_type": "client_credentials", "client_id": "confidential", "client_secret": "secret"}
CODE = {
    "grant_type": "authorization_code",
    "client_id": "public",
    "code": "code",
    "redirect_uri": URL,
    "code_verifier": VERIFIER,
}
REFRESH = {"grant_type": "refresh_token", "client_id": "public", "refresh_token": "token"}


@pytest.mark.parametrize(("secret", "epoch"), [("secret", 3), ("former", 2)])
def test_an_app_client_gets_tokens_of_the_epoch_of_its_secret(secret: str, epoch: int) -> None:
    client = confidential()
    assert answer_to(Facts(client), {**CREDENTIALS, "client_secret": secret}).body == TOKEN
    assert client.epoch == epoch


@pytest.mark.parametrize(
    ("facts", "parameters"),
    [
        (Facts(public(), code()), CODE),
        (Facts(public(), None, refresh_token()), REFRESH),
        (
            Facts(confidential(callback_urls=(URL,)), code(app_client_id="las:app-client:confidential")),
            {**CODE, "client_id": "confidential", "client_secret": "secret"},
        ),
    ],
    ids=["code", "refresh token", "code of a confidential app client"],
)
def test_users_get_tokens(facts: Facts, parameters: Parameters) -> None:
    assert answer_to(facts, parameters) == ProtocolAnswer(200, TOKEN)


@pytest.mark.parametrize(
    ("facts", "parameters", "error"),
    [
        (Facts(None), CREDENTIALS, "invalid_client"),
        (Facts(confidential()), {**CREDENTIALS, "client_secret": "wrong"}, "invalid_client"),
        (Facts(confidential()), {**CREDENTIALS, "client_secret": ""}, "invalid_client"),
        (Facts(confidential()), {**CREDENTIALS, "scope": "everything"}, "invalid_scope"),
        (Facts(confidential()), {**CREDENTIALS, "grant_type": "password"}, "unsupported_grant_type"),
        (Facts(confidential()), {}, "unsupported_grant_type"),
        (Facts(public()), {**CREDENTIALS, "client_id": "public"}, "invalid_client"),
        (Facts(public()), {"grant_type": "client_credentials", "client_id": "public"}, "unauthorized_client"),
        (Facts(public(), None), CODE, "invalid_grant"),
        (Facts(public(), code(is_expired=True)), CODE, "invalid_grant"),
        (Facts(public(), code(session_is_over=True)), CODE, "invalid_grant"),
        (Facts(public(), code(grant_id="las:grant:a")), CODE, "invalid_grant"),
        (Facts(public(), code(user_is_active=False)), CODE, "invalid_grant"),
        (Facts(public(), code(app_client_id="las:app-client:other")), CODE, "invalid_grant"),
        (Facts(public(), code()), {**CODE, "code_verifier": "w" * 64}, "invalid_grant"),
        (Facts(public(), code()), {**CODE, "redirect_uri": f"{URL}/"}, "invalid_grant"),
        (
            Facts(public(), code()),
            {name: value for name, value in CODE.items() if name != "code_verifier"},
            "invalid_request",
        ),
        (
            Facts(confidential(callback_urls=(URL,)), code(app_client_id="las:app-client:confidential")),
            {**CODE, "client_id": "confidential"},
            "invalid_client",
        ),
        (Facts(public(), None, None), REFRESH, "invalid_grant"),
        (Facts(public(), None, refresh_token(is_over=True)), REFRESH, "invalid_grant"),
        (Facts(public(), None, refresh_token(is_reused=True)), REFRESH, "invalid_grant"),
        (Facts(public(), None, refresh_token(user_is_active=False)), REFRESH, "invalid_grant"),
        (Facts(public(), None, refresh_token(app_client_id="other")), REFRESH, "invalid_grant"),
    ],
)
def test_others_get_none(facts: Facts, parameters: Parameters, error: str) -> None:
    answer = answer_to(facts, parameters)
    assert (answer.status, answer.body["error"]) == (400, error)


AUTHORIZE = {
    "response_type": ["code"],
    "client_id": ["public"],
    "redirect_uri": [URL],
    "code_challenge": [create_s256_code_challenge(VERIFIER)],
    "code_challenge_method": ["S256"],
    "state": ["state"],
}


def refused(changes: dict[str, list[str]]) -> tuple[int, str | None]:
    """The status of a refusal, and the URL that a browser is sent to."""
    request = ProtocolRequest("GET", AUTHORIZE | changes)
    with pytest.raises(OAuth2Error) as caught:
        ProtocolServer(Facts(public())).get_consent_grant(request)
    status, _, headers = caught.value()
    return status, dict(headers).get("Location")


def test_a_request_for_a_code_is_good() -> None:
    grant = ProtocolServer(Facts(public())).get_consent_grant(ProtocolRequest("GET", AUTHORIZE))
    assert grant.redirect_uri == URL


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": ["https://evil.example.com"]},
        {"redirect_uri": []},
        {"redirect_uri": [URL, "https://evil.example.com"]},
        {"redirect_uri": ["https://evil.example.com", URL]},
        {"redirect_uri": ["https://evil.example.com"], "response_type": ["token"]},
        {"client_id": ["unknown"]},
        {"client_id": []},
    ],
)
def test_a_browser_stays_where_it_is(changes: dict[str, list[str]]) -> None:
    assert refused(changes) == (400, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"response_type": ["token"]},
        {"response_type": []},
        {"code_challenge": []},
        {"code_challenge": ["short"]},
        {"code_challenge_method": ["plain"]},
        {"code_challenge_method": []},
        {"scope": ["everything"]},
    ],
)
def test_an_app_is_told_of_its_mistakes(changes: dict[str, list[str]]) -> None:
    status, location = refused(changes)
    assert status == 302
    assert location is not None
    assert location.startswith(f"{URL}?error=")
    assert location.endswith("&state=state")
