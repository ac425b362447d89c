"""Encryption of the answers to requests with an idempotency key, which can contain secrets."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pagemill.errors import BadRequest
from pagemill.settings import Settings

NONCE_BYTES = 12


class AnswerCipher:
    """Encryption of answers, and keyed fingerprints of requests, with keys derived from the token key."""

    def __init__(self, settings: Settings) -> None:
        derived = HKDF(SHA256(), length=64, salt=None, info=b"idempotency").derive(
            settings.token_key.encode()
        )
        self._fingerprint_key, self._cipher = derived[:32], AESGCM(derived[32:])

    def fingerprint(self, *parts: bytes) -> str:
        """Return a hash of the parts of a request, in hex."""
        digest = hmac.new(self._fingerprint_key, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(len(part).to_bytes(8) + part)
        return digest.hexdigest()

    def encrypt(self, body: bytes, bound_to: str) -> bytes:
        """Encrypt an answer, to be decrypted for the same ``bound_to`` only."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, body, bound_to.encode())

    def decrypt(self, encrypted: bytes, bound_to: str) -> bytes:
        """Decrypt an answer. Raises BadRequest when the token key has changed since it was given."""
        try:
            return self._cipher.decrypt(encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], bound_to.encode())
        except InvalidTag:
            raise BadRequest("Idempotency-Key: its answer cannot be given again") from None
