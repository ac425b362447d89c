"""Encryption of secrets at rest: AES-256-GCM under keys that the database does not hold.

A ciphertext is bound to its organization and its secret: moved to another row, it cannot be opened.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pagemill.errors import PagemillError
from pagemill.settings import Settings, SettingsError

VARIABLE = "PAGEMILL_SECRET_KEYS"
KEY_BYTES = 32
NONCE_BYTES = 12
"""Random nonces of this size are good for 2^32 secrets under one key (NIST SP 800-38D, 8.3)."""

_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class SecretUnreadable(PagemillError):
    """A secret that cannot be decrypted: its key is unknown, or the stored data was changed."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted data of a secret."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


class SecretBox:
    """Box that encrypts with its first key and decrypts with all of them, so that keys can be rotated."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.key_id = next(iter(keys))
        """The id of the key that encrypts."""

    def seal(self, organization_id: str, secret_id: str, data: Mapping[str, Any]) -> Sealed:
        """Encrypt the data of a secret."""
        nonce = os.urandom(NONCE_BYTES)
        plain = msgspec.json.encode(data)
        ciphertext = self._ciphers[self.key_id].encrypt(nonce, plain, _bound_to(organization_id, secret_id))
        return Sealed(self.key_id, nonce, ciphertext)

    def open(self, organization_id: str, secret_id: str, sealed: Sealed) -> dict[str, Any]:
        """Decrypt the data of a secret. Raises SecretUnreadable."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise SecretUnreadable(f"{secret_id}: its key {sealed.key_id} is not in {VARIABLE}")
        try:
            plain = cipher.decrypt(sealed.nonce, sealed.ciphertext, _bound_to(organization_id, secret_id))
        except (InvalidTag, ValueError):
            raise SecretUnreadable(f"{secret_id}: cannot be read with its key {sealed.key_id}") from None
        return msgspec.json.decode(plain, type=dict[str, Any])


def open_secret_box(settings: Settings) -> SecretBox:
    """Return the box of these settings. Raises SettingsError, which does not show the keys."""
    return read_secret_keys(settings.secret_keys)


def read_secret_keys(text: str) -> SecretBox:
    """Return the box of the setting's value. Raises SettingsError, which does not show the keys."""
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(text.split(","), start=1):
        key_id, _, encoded = entry.strip().partition(":")
        if not _KEY_ID.fullmatch(key_id) or key_id in keys:
            raise SettingsError(f"{VARIABLE}: entry {number} needs a key id of its own before a colon")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise SettingsError(f"{VARIABLE}: the key of entry {number} is not base64") from None
        if len(key) != KEY_BYTES:
            raise SettingsError(f"{VARIABLE}: the key of entry {number} must have {KEY_BYTES} bytes")
        keys[key_id] = key
    return SecretBox(keys)


def new_secret_key(key_id: str) -> str:
    """Return an entry of the setting with a new random key."""
    return f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


def _bound_to(organization_id: str, secret_id: str) -> bytes:
    return f"{organization_id}/{secret_id}".encode()
