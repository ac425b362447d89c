"""Providers are configured by JSON, and what is wrong with it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pagemill.api.sign_in.openid.configuration import is_usable_url, read_providers, read_secret
from pagemill.settings import Settings, SettingsError

GOOGLE = {
    "name": "google",
    "title": "Google",
    "issuer": "https://accounts.google.com",
    "clientId": "123.apps.googleusercontent.com",
}


def settings(providers: Any, *, private: bool = False) -> Settings:
    text = providers if isinstance(providers, str) else json.dumps(providers)
    return Settings(
        database_url="postgresql://unused",
        objects_url="file:///unused",
        openid_providers=text,
        openid_private_providers=private,
    )


def test_none_by_default() -> None:
    assert read_providers(settings("")) == []


def test_several_in_their_order(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    other = GOOGLE | {"name": "work", "clientSecretFile": str(secret), "domains": ["example.com"]}
    file = tmp_path / "providers.json"
    file.write_text(json.dumps([GOOGLE, other]))
    for text in (json.dumps([GOOGLE, other]), str(file)):
        first, second = read_providers(settings(text))
        assert (first.name, read_secret(first)) == ("google", None)
        assert (second.name, read_secret(second), second.domains) == ("work", "s3cret", ["example.com"])


@pytest.mark.parametrize(
    "providers",
    [
        "google",
        {"name": "google"},
        [{}],
        [GOOGLE | {"name": "Google!"}],
        [GOOGLE | {"secret": "in the clear"}],
        [GOOGLE, GOOGLE],
        [GOOGLE | {"issuer": "http://accounts.google.com"}],
        [GOOGLE | {"issuer": "http://localhost:1234"}],
        [GOOGLE | {"issuer": "https://accounts.google.com/?a=b"}],
        [GOOGLE | {"issuer": "https://user@accounts.google.com"}],
        "/nowhere/providers.json",
    ],
)
def test_what_is_wrong_is_said(providers: Any) -> None:
    with pytest.raises(SettingsError, match="PAGEMILL_OPENID_PROVIDERS"):
        read_providers(settings(providers))


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_missing_secret_is_said(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    [provider] = read_providers(settings([GOOGLE | {"clientSecretFile": str(file)}]))
    with pytest.raises(SettingsError, match="secret"):
        read_secret(provider)


@pytest.mark.parametrize(
    ("url", "public", "private"),
    [
        ("https://a.example/b", True, True),
        ("http://localhost:1/b", False, True),
        ("http://127.0.0.1:1", False, True),
        ("http://a.example", False, False),
        ("javascript:alert(1)", False, False),
        ("https://", False, False),
        ("https://user:pass@a.example", False, False),
        ("https://a.example/ b", False, False),
        ("https://a.example/\r\nX: y", False, False),
        ("https://[::1", False, False),
    ],
)
def test_urls_that_may_be_used(url: str, public: bool, private: bool) -> None:
    assert (is_usable_url(url, private=False), is_usable_url(url, private=True)) == (public, private)
