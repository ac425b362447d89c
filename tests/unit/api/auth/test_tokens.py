"""Tests of access tokens: what is signed, what is read, and what is refused."""

from __future__ import annotations

import base64
import datetime
import hmac
import time
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from pagemill.api.auth.signing_keys import SigningKey
from pagemill.api.auth.tokens import TYPE, AccessTokens, Caller, check_token_key, encode, sign_token
from pagemill.errors import Forbidden
from pagemill.settings import Settings, SettingsError
from tests.support.tokens import former_token

SETTINGS = Settings(database_url="postgresql://unused", objects_url="file:///unused", token_key="k" * 32)
CALLER = Caller("las:organization:a", "las:app-client:b")
USER = Caller("las:organization:a", "las:user:b", frozenset({"one", "two"}), "las:grant:c")
NOW = int(time.time())
CLAIMS: dict[str, Any] = {
    "iss": SETTINGS.public_url,
    "aud": "pagemill",
    "sub": "las:app-client:b",
    "organization": "las:organization:a",
    "exp": NOW + 1000,
}


def new_key(kid: str) -> SigningKey:
    return SigningKey(kid, ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"}))


class Keys:
    """Signing keys that stand in no database; ``later`` ones are found by the next look."""

    def __init__(self, *known: SigningKey, later: tuple[SigningKey, ...] = ()) -> None:
        self.signing = known[0]
        self.accepted = {one.kid: ECKey.import_key(one.key.as_dict(private=False)) for one in known}
        self.later = {one.kid: one.key for one in later}
        self.looks = 0

    async def signing_key(self) -> SigningKey:
        return self.signing

    def known(self, kid: str) -> ECKey | None:
        return self.accepted.get(kid)

    async def refresh(self) -> None:
        pass

    async def look_for(self, kid: str) -> ECKey | None:
        self.looks += 1
        self.accepted |= self.later
        return self.accepted.get(kid)


FIRST, SECOND = new_key("first"), new_key("second")


def changed(**changes: object) -> Settings:
    return msgspec.structs.replace(SETTINGS, **changes)


def tokens_of(keys: Keys | None = None, settings: Settings = SETTINGS) -> AccessTokens:
    return AccessTokens(keys or Keys(FIRST), settings)  # type: ignore[arg-type]


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token with an empty signature."""
    return ".".join(encoded(msgspec.json.encode(one)) for one in (header, claims)) + "."


def by_public_key(key: bytes) -> str:
    """A token that is signed by HS256 with the published key, which everybody has; no library would."""
    text = unsigned({"alg": "HS256", "kid": "first", "typ": TYPE}, CLAIMS)
    return text + encoded(hmac.digest(key, text[:-1].encode(), "sha256"))


@pytest.mark.parametrize("caller", [CALLER, USER, Caller("las:organization:a", "las:app-client:b", epoch=3)])
async def test_a_token_names_its_caller(caller: Caller) -> None:
    tokens = tokens_of()
    token = await tokens.issue(caller)
    assert [await tokens.read(token) for _ in range(2)] == [caller, caller]
    decoded = jwt.decode(token, FIRST.key, algorithms=["ES256"])
    assert decoded.header == {"alg": "ES256", "kid": "first", "typ": "at+jwt"}
    assert decoded.claims["iss"] == SETTINGS.public_url
    assert decoded.claims["aud"] == "pagemill"
    assert decoded.claims["exp"] - decoded.claims["iat"] == SETTINGS.token_lifetime


async def test_each_token_has_an_id_of_its_own() -> None:
    tokens = tokens_of()
    first, second = [jwt.decode(await tokens.issue(CALLER), FIRST.key).claims["jti"] for _ in range(2)]
    assert first != second


REFUSED = {
    "empty": "",
    "garbage": "abc",
    "three parts": "a.b.c",
    "another key of the same name": sign_token(CALLER, new_key("first"), SETTINGS),
    "an unknown key": sign_token(CALLER, new_key("unknown"), SETTINGS),
    "expired": sign_token(CALLER, FIRST, changed(token_lifetime=-100)),
    "another issuer": sign_token(CALLER, FIRST, changed(public_url="https://evil.example.com")),
    "another audience": encode({**CLAIMS, "aud": "sign-in"}, FIRST, token_type=TYPE),
    "no audience": encode({n: v for n, v in CLAIMS.items() if n != "aud"}, FIRST, token_type=TYPE),
    "endless": encode({n: v for n, v in CLAIMS.items() if n != "exp"}, FIRST, token_type=TYPE),
    "nobody": encode({n: v for n, v in CLAIMS.items() if n != "sub"}, FIRST, token_type=TYPE),
    "no organization": encode(
        {n: v for n, v in CLAIMS.items() if n != "organization"}, FIRST, token_type=TYPE
    ),
    "an ID token": encode(dict(CLAIMS), FIRST, token_type="JWT"),
    "an epoch that is no number": encode({**CLAIMS, "epoch": "1"}, FIRST, token_type=TYPE),
    "unsigned": unsigned({"alg": "none", "typ": TYPE, "kid": "first"}, CLAIMS),
    "ES256 without a signature": unsigned({"alg": "ES256", "typ": TYPE, "kid": "first"}, CLAIMS),
    "HS256 by the public key": by_public_key(FIRST.key.as_pem(private=False)),
    "HS256 by the published key": by_public_key(msgspec.json.encode(FIRST.key.as_dict(private=False))),
    "an algorithm that is no word": unsigned({"alg": [], "typ": TYPE}, CLAIMS),
    "a key that is no word": unsigned({"alg": "ES256", "typ": TYPE, "kid": ["first"]}, CLAIMS),
    "a path for a key": sign_token(CALLER, SigningKey("../../etc/passwd", FIRST.key), SETTINGS),
    "SQL for a key": sign_token(CALLER, SigningKey("' OR '1'='1", FIRST.key), SETTINGS),
    "a key in its own header": jwt.encode(
        {"alg": "ES256", "typ": TYPE, "jwk": SECOND.key.as_dict(private=False)}, dict(CLAIMS), SECOND.key
    ),
    "former, by another key": former_token(CALLER, changed(token_key="x" * 32)),
    "former, expired": former_token(CALLER, changed(token_lifetime=-100)),
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
async def test_other_tokens_are_refused(token: str) -> None:
    tokens = tokens_of()
    for _ in range(2):
        with pytest.raises(Forbidden, match=r"^Forbidden$"):
            await tokens.read(token)


async def test_a_changed_token_is_refused() -> None:
    tokens = tokens_of()
    header, claims, signature = (await tokens.issue(CALLER)).split(".")
    other = (await tokens.issue(USER)).split(".")[1]
    for mixed in (f"{header}.{other}.{signature}", f"{header}.{claims}.{signature[::-1]}"):
        with pytest.raises(Forbidden):
            await tokens.read(mixed)


async def test_a_token_of_the_former_release_is_read_and_has_no_grant() -> None:
    tokens = tokens_of()
    token = former_token(CALLER, SETTINGS)
    assert [await tokens.read(token) for _ in range(2)] == [CALLER, CALLER]
    with pytest.raises(Forbidden):
        await tokens_of(settings=changed(token_key="")).read(token)
    key = OctKey.import_key(SETTINGS.token_key)
    for more in ({"sid": "las:grant:c"}, {"epoch": 1}):
        with pytest.raises(Forbidden):
            await tokens.read(jwt.encode({"alg": "HS256"}, {**CLAIMS, **more}, key, algorithms=["HS256"]))


async def test_a_key_of_another_process_is_looked_for_once() -> None:
    keys = Keys(FIRST, later=(SECOND,))
    tokens = tokens_of(keys)
    assert await tokens.read(sign_token(CALLER, SECOND, SETTINGS)) == CALLER
    assert await tokens.read(sign_token(USER, SECOND, SETTINGS)) == USER
    assert keys.looks == 1


async def test_a_token_that_was_good_is_refused_when_its_key_is_deleted() -> None:
    keys = Keys(FIRST, SECOND)
    tokens = tokens_of(keys)
    token = sign_token(CALLER, SECOND, SETTINGS)
    assert await tokens.read(token) == CALLER
    del keys.accepted["second"]
    with pytest.raises(Forbidden):
        await tokens.read(token)


async def test_a_valid_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_of()
    token, now = await tokens.issue(CALLER), time.time()
    assert await tokens.read(token) == CALLER
    for later, good in ((SETTINGS.token_lifetime - 5, True), (SETTINGS.token_lifetime + 1, False)):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        for reader in (tokens, tokens_of()):
            if good:
                assert await reader.read(token) == CALLER
            else:
                with pytest.raises(Forbidden):
                    await reader.read(token)


async def test_clocks_may_differ_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_of()
    token, now = await tokens.issue(CALLER), time.time()
    monkeypatch.setattr(time, "time", lambda: now - 10)
    assert await tokens.read(token) == CALLER


async def test_few_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagemill.api.auth.tokens.TOKENS_KEPT", 2)
    tokens = tokens_of()
    issued = [await tokens.issue(CALLER) for _ in range(4)]
    for token in issued:
        assert await tokens.read(token) == CALLER
    assert list(tokens._kept) == issued[2:]


def test_a_short_key_is_refused() -> None:
    check_token_key(SETTINGS)
    with pytest.raises(SettingsError, match="PAGEMILL_TOKEN_KEY"):
        check_token_key(changed(token_key="k" * 31))


def test_times_are_those_of_this_machine() -> None:
    issued = jwt.decode(sign_token(CALLER, FIRST, SETTINGS), FIRST.key).claims["iat"]
    assert abs(issued - datetime.datetime.now(datetime.UTC).timestamp()) < 60
