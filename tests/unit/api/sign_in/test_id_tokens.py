"""ID tokens are believed when the provider has made them now, for us, and for this journey."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from pagemill.api.sign_in.openid.id_tokens import TokenRefused, algorithms_of, read_id_token

ISSUER, CLIENT, NONCE = "https://id.example.com", "mill", "n0nce"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
ELLIPTIC = ECKey.generate_key("P-256", {"kid": "ec"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})
KEYS = KeySet.import_key_set(KeySet([RSA, ELLIPTIC]).as_dict(private=False))


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"iss": ISSUER, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300, "nonce": NONCE} | changed
    return {name: value for name, value in made.items() if value is not None}


def signed(content: dict[str, Any], key: Any = RSA, algorithm: str = "RS256") -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid}, content, key, algorithms=[algorithm])


def read(token: str, algorithms: list[str] | None = None) -> dict[str, Any]:
    return read_id_token(
        token, KEYS, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, algorithms=algorithms or ["ES256", "RS256"]
    )


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (ELLIPTIC, "ES256")])
def test_a_good_one(key: Any, algorithm: str) -> None:
    assert read(signed(claims(email="a@b.de"), key, algorithm))["email"] == "a@b.de"
    assert read(signed(claims(aud=[CLIENT, "other"], azp=CLIENT), key, algorithm))["sub"] == "1"


DAY = 24 * 3600
"""Tests are collected long before they run."""


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example.com"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"aud": [CLIENT, "other"]},
        {"azp": "other"},
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": [NONCE, "another"]},
        {"sub": None},
        {"sub": 1},
        {"exp": int(time.time()) - DAY},
        {"exp": None},
        {"exp": "soon"},
        {"iat": int(time.time()) + DAY},
        {"iat": None},
        {"nbf": int(time.time()) + DAY},
    ],
)
def test_wrong_claims_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        read(signed(claims(**changed)))


def test_another_key_is_refused() -> None:
    with pytest.raises(TokenRefused):
        read(signed(claims(), STRANGER))


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def test_a_public_key_or_the_client_secret_is_no_key_to_sign_with() -> None:
    for secret in (RSA.as_pem(private=False), b"the client secret, which is long enough"):
        head = encoded(json.dumps({"alg": "HS256", "kid": "rsa"}).encode())
        signing = f"{head}.{encoded(json.dumps(claims()).encode())}"
        token = f"{signing}.{encoded(hmac.digest(secret, signing.encode(), 'sha256'))}"
        with pytest.raises(TokenRefused):
            read(token)


def test_no_signature_is_refused() -> None:
    header, payload, _ = signed(claims()).split(".")
    for token in (f"{header}.{payload}.", "eyJhbGciOiJub25lIn0." + payload + ".", "a.b.c", "", "x" * 100_000):
        with pytest.raises(TokenRefused):
            read(token)


def test_an_algorithm_that_the_provider_does_not_use_is_refused() -> None:
    with pytest.raises(TokenRefused):
        read(signed(claims(), ELLIPTIC, "ES256"), ["RS256"])


@pytest.mark.parametrize(
    ("said", "believed"),
    [(None, ["RS256"]), (["none", "HS256"], []), (["RS256", "ES256", "HS256", 1], ["ES256", "RS256"])],
)
def test_algorithms(said: Any, believed: list[str]) -> None:
    metadata = {} if said is None else {"id_token_signing_alg_values_supported": said}
    assert algorithms_of(metadata) == believed
