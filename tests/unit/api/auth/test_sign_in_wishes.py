"""What apps may ask of the sign-in itself, and what is refused because it would not be obeyed."""

from __future__ import annotations

import base64
import datetime

import msgspec
import pytest

from db.sign_in_sessions import SessionRow
from pagemill.api.auth.sign_in_wishes import SignInWishes, WishRefused, read_wishes
from pagemill.ids import ProfileId, UserId

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def hint(claims: object) -> str:
    payload = base64.urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=").decode()
    return f"e30.{payload}.signature"


@pytest.mark.parametrize(
    ("parameters", "wishes"),
    [
        ({}, SignInWishes()),
        ({"prompt": "none"}, SignInWishes(silent=True)),
        ({"prompt": "login"}, SignInWishes(again=True)),
        ({"prompt": "select_account consent"}, SignInWishes(again=True)),
        ({"prompt": "create"}, SignInWishes()),
        ({"max_age": "0"}, SignInWishes(max_age=0)),
        ({"max_age": "9" * 100}, SignInWishes(max_age=2**31)),
        ({"login_hint": "Ada@Example.com"}, SignInWishes(email="ada@example.com")),
        ({"login_hint": "<script>"}, SignInWishes()),
        ({"id_token_hint": hint({"sub": "las:user:1"})}, SignInWishes(user_id=UserId("las:user:1"))),
        ({"response_mode": "query"}, SignInWishes()),
        ({"display": "popup", "ui_locales": "nb", "acr_values": "2", "claims": "{}"}, SignInWishes()),
    ],
)
def test_what_is_obeyed_or_may_be_ignored(parameters: dict[str, str], wishes: SignInWishes) -> None:
    assert read_wishes({name: [value] for name, value in parameters.items()}) == wishes


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"request": ["x"]}, "request_not_supported"),
        ({"request_uri": ["https://app.example.com/r"]}, "request_uri_not_supported"),
        ({"registration": ["{}"]}, "registration_not_supported"),
        ({"response_mode": ["fragment"]}, "invalid_request"),
        ({"response_mode": ["form_post"]}, "invalid_request"),
        ({"prompt": ["none login"]}, "invalid_request"),
        ({"prompt": ["none", "login"]}, "invalid_request"),
        ({"max_age": ["-1"]}, "invalid_request"),
        ({"max_age": ["1.5"]}, "invalid_request"),
        ({"max_age": ["x"]}, "invalid_request"),
        ({"login_hint": ["a@b.de", "c@d.de"]}, "invalid_request"),
        ({"id_token_hint": ["x"]}, "invalid_request"),
        ({"id_token_hint": ["a.b.c"]}, "invalid_request"),
        ({"id_token_hint": [hint([])]}, "invalid_request"),
        ({"id_token_hint": [hint({})]}, "invalid_request"),
    ],
)
def test_what_is_refused(parameters: dict[str, list[str]], error: str) -> None:
    with pytest.raises(WishRefused) as refused:
        read_wishes(parameters)
    assert refused.value.error == error


def test_an_old_session_is_not_enough() -> None:
    session = SessionRow("hash", ProfileId("1"), NOW, NOW + datetime.timedelta(seconds=60), NOW, None, None)
    assert SignInWishes(max_age=60).are_fulfilled_by(session)
    assert not SignInWishes(max_age=59).are_fulfilled_by(session)
    assert SignInWishes().are_fulfilled_by(session)
    assert not SignInWishes(again=True).are_fulfilled_by(session)
    assert not SignInWishes().are_fulfilled_by(None)
