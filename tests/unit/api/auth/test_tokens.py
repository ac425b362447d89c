"""Tests of access tokens."""

from __future__ import annotations

import time

import jwt
import msgspec
import pytest

from pagemill.api.auth.tokens import Caller, check_token_key, issue_token, read_token
from pagemill.errors import Forbidden
from pagemill.settings import Settings, SettingsError

SETTINGS = Settings(database_url="postgresql://unused", objects_url="file:///unused", token_key="k" * 32)
CALLER = Caller(organization_id="las:organization:a", principal_id="las:app-client:b")


def changed(**changes: object) -> Settings:
    return msgspec.structs.replace(SETTINGS, **changes)


def test_token_names_its_caller() -> None:
    assert read_token(issue_token(CALLER, SETTINGS), SETTINGS) == CALLER


@pytest.mark.parametrize(
    "token",
    [
        "",
        "abc",
        issue_token(CALLER, changed(token_key="x" * 32)),
        issue_token(CALLER, changed(token_lifetime=-1)),
        jwt.encode({"sub": "a", "organization": "b", "aud": "pagemill"}, "k" * 32, algorithm="HS256"),
        jwt.encode({"sub": "a", "organization": "b", "aud": "x", "exp": 2**40}, "k" * 32, algorithm="HS256"),
        jwt.encode(
            {"sub": "a", "organization": "b", "aud": "pagemill", "exp": 2**40}, None, algorithm="none"
        ),
    ],
    ids=["empty", "garbage", "other key", "expired", "endless", "other audience", "unsigned"],
)
def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(Forbidden, match=r"^Forbidden$"):
        read_token(token, SETTINGS)


def test_short_key_is_refused() -> None:
    check_token_key(SETTINGS)
    with pytest.raises(SettingsError, match="PAGEMILL_TOKEN_KEY"):
        check_token_key(changed(token_key="k" * 31))


def test_valid_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    token, now = issue_token(CALLER, SETTINGS), time.time()
    assert read_token(token, SETTINGS) == CALLER
    for later, good in ((SETTINGS.token_lifetime - 5, True), (SETTINGS.token_lifetime + 1, False)):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        if good:
            assert read_token(token, SETTINGS) == CALLER
        else:
            with pytest.raises(Forbidden):
                read_token(token, SETTINGS)


def test_valid_token_is_refused_with_another_key() -> None:
    token = issue_token(CALLER, SETTINGS)
    assert read_token(token, SETTINGS) == CALLER
    with pytest.raises(Forbidden):
        read_token(token, msgspec.structs.replace(SETTINGS, token_key="n" * 32))
