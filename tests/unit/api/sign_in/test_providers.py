"""Answers of providers that are wrong are refused, and their keys may change."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from pagemill.api.sign_in.openid.configuration import ProviderConfiguration
from pagemill.api.sign_in.openid.id_tokens import TokenRefused
from pagemill.api.sign_in.openid.providers import KEYS_AGAIN_SECONDS, Provider, new_handshake
from pagemill.api.sign_in.openid.transport import ProviderAway, ProviderTransport

ISSUER, CLIENT = "https://id.example.com", "mill"
KEY, NEXT = RSAKey.generate_key(2048, {"kid": "1"}), RSAKey.generate_key(2048, {"kid": "2"})
HANDSHAKE = new_handshake()


class Answers(ProviderTransport):
    """A provider's answers, without one."""

    def __init__(self) -> None:
        super().__init__(private=False)
        self.key = KEY
        self.keys: list[Any] = [KEY]
        self.asked: list[str] = []
        self.posted: Mapping[str, str] = {}
        self.basic: tuple[str, str] | None = None
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth?tenant=1",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/me",
        }
        self.claims: dict[str, Any] = {"email": "ada@example.com", "email_verified": True}
        self.userinfo: dict[str, Any] = {}

    async def get(self, url: str, *, bearer: str | None = None) -> dict[str, Any]:
        self.asked.append(url)
        if url == f"{ISSUER}/.well-known/openid-configuration":
            return self.metadata
        if url == f"{ISSUER}/keys":
            return dict(KeySet(self.keys).as_dict(private=False))
        assert (url, bearer) == (f"{ISSUER}/me", "access")
        return self.userinfo

    async def post(
        self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
    ) -> dict[str, Any]:
        assert url == f"{ISSUER}/token"
        self.posted, self.basic = form, basic
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 60} | self.claims
        claims.setdefault("nonce", HANDSHAKE.nonce)
        token = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key, algorithms=["RS256"])
        return {"id_token": token, "access_token": "access"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def answers() -> Answers:
    return Answers()


def provider_of(
    answers: Answers, *, secret: str | None = "s", domains: tuple[str, ...] = (), clock: Any = None
) -> Provider:
    configuration = ProviderConfiguration(
        name="work", title="Work", issuer=ISSUER, client_id=CLIENT, domains=list(domains)
    )
    return Provider(
        configuration, answers, secret=secret, public_url="https://mill.example.com/", clock=clock or Clock()
    )


async def test_where_a_browser_is_sent(answers: Answers) -> None:
    url = urlsplit(await provider_of(answers).authorization_url(HANDSHAKE))
    sent = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/auth"
    assert (sent["tenant"], sent["client_id"], sent["response_type"]) == ("1", CLIENT, "code")
    assert sent["redirect_uri"] == "https://mill.example.com/sign-in/openid/work/callback"
    assert (sent["state"], sent["nonce"]) == (HANDSHAKE.state, HANDSHAKE.nonce)
    assert HANDSHAKE.verifier not in url.query


async def test_the_client_says_who_it_is(answers: Answers) -> None:
    await provider_of(answers).account_of("code", HANDSHAKE)
    assert answers.basic == (CLIENT, "s")
    assert (answers.posted["code"], answers.posted["code_verifier"]) == ("code", HANDSHAKE.verifier)
    answers.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await provider_of(answers).account_of("code", HANDSHAKE)
    assert (answers.basic, answers.posted["client_secret"]) == (None, "s")
    await provider_of(answers, secret=None).account_of("code", HANDSHAKE)
    assert (answers.basic, answers.posted["client_id"]) == (None, CLIENT)
    assert "client_secret" not in answers.posted


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://evil.example.com"},
        {"issuer": f"{ISSUER}/"},
        {"token_endpoint": "http://id.example.com/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_metadata_that_cannot_be_used(answers: Answers, changed: dict[str, Any]) -> None:
    answers.metadata |= changed
    with pytest.raises(ProviderAway):
        await provider_of(answers).authorization_url(HANDSHAKE)


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": "another"},
        {"iss": "https://evil.example.com"},
        {"aud": "other"},
        {"exp": 1},
        {"sub": ""},
        {"sub": "x" * 300},
        {"sub": "a\0b"},
    ],
)
async def test_tokens_that_are_not_believed(answers: Answers, changed: dict[str, Any]) -> None:
    answers.claims |= changed
    with pytest.raises(TokenRefused):
        await provider_of(answers).account_of("code", HANDSHAKE)


@pytest.mark.parametrize(
    ("claims", "domains", "email"),
    [
        ({"email_verified": True}, (), "ada@example.com"),
        ({"email_verified": "true"}, (), "ada@example.com"),
        ({"email_verified": False}, (), None),
        ({"email_verified": None}, (), None),
        ({"email_verified": 1, "email": ["ada@example.com"]}, (), None),
        ({}, ("example.com",), "ada@example.com"),
        ({}, ("example.org",), None),
        ({"email": "ada@evil.com@example.org"}, ("example.org",), "ada@evil.com@example.org"),
    ],
)
async def test_addresses_that_are_believed(
    answers: Answers, claims: dict[str, Any], domains: tuple[str, ...], email: str | None
) -> None:
    """The last one is no address, which is seen later."""
    answers.claims |= claims
    account = await provider_of(answers, domains=domains).account_of("code", HANDSHAKE)
    assert account.email == email
    assert account.decides == (email is not None and domains != ())


async def test_the_address_may_be_asked_for(answers: Answers) -> None:
    del answers.claims["email"]
    answers.userinfo = {"sub": "1", "email": "ada@example.com", "email_verified": True, "given_name": "Ada"}
    account = await provider_of(answers).account_of("code", HANDSHAKE)
    assert (account.email, account.given_name, account.subject) == ("ada@example.com", "Ada", "1")
    answers.userinfo["sub"] = "2"
    with pytest.raises(TokenRefused):
        await provider_of(answers).account_of("code", HANDSHAKE)


async def test_keys_change_and_are_not_asked_for_all_the_time(answers: Answers) -> None:
    clock = Clock()
    provider = provider_of(answers, clock=clock)
    for _ in range(3):
        await provider.account_of("code", HANDSHAKE)
    assert answers.asked.count(f"{ISSUER}/keys") == 1
    answers.key, answers.keys = NEXT, [KEY, NEXT]
    with pytest.raises(TokenRefused):
        await provider.account_of("code", HANDSHAKE)
    clock.now += KEYS_AGAIN_SECONDS
    assert (await provider.account_of("code", HANDSHAKE)).subject == "1"
    assert answers.asked.count(f"{ISSUER}/keys") == 2
