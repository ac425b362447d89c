"""Refresh tokens follow from each other, and apps get their own parameters back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from pagemill.people.grants import AuthorizationRequest, RefreshTokens

KEY = "k" * 32


def test_a_token_has_one_successor_in_all_processes() -> None:
    first = RefreshTokens(KEY).successor_of("token")
    assert first == RefreshTokens(KEY).successor_of("token")
    assert len(first) == 43


def test_successors_do_not_repeat_and_need_the_key() -> None:
    tokens = RefreshTokens(KEY)
    chain = ["token"]
    for _ in range(100):
        chain.append(tokens.successor_of(chain[-1]))
    assert len(set(chain)) == len(chain)
    assert RefreshTokens("x" * 32).successor_of("token") != chain[1]
    assert tokens.successor_of("tokem") != chain[1]


def asked(redirect_uri: str, state: str | None = None) -> AuthorizationRequest:
    return AuthorizationRequest(
        organization_id="las:organization:a",
        app_client_id="las:app-client:b",
        app_client_name=None,
        spans_organizations=False,
        redirect_uri=redirect_uri,
        code_challenge="c" * 43,
        state=state,
    )


@pytest.mark.parametrize("state", [None, "", "a b&c=d#e", "\"'<script>", "x" * 2000])
def test_an_app_gets_its_state_back(state: str | None) -> None:
    url = asked("https://app.example.com/cb?keep=1", state).redirect(code="co/de+1")
    parts = urlsplit(url)
    assert (parts.netloc, parts.path, parts.fragment) == ("app.example.com", "/cb", "")
    expected = {"keep": ["1"], "code": ["co/de+1"]} | ({} if state is None else {"state": [state]})
    assert parse_qs(parts.query, keep_blank_values=True) == expected
