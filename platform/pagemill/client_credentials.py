"""Credentials of app clients. Secrets are random, so a plain hash of them is stored."""

from __future__ import annotations

import hashlib
import secrets
import uuid

SECRET_BYTES = 32


def new_client_id() -> str:
    """Return a new client id, which does not reveal the app client's own id."""
    return uuid.uuid4().hex


def new_client_secret() -> str:
    """Return a new random secret."""
    return secrets.token_hex(SECRET_BYTES)


def hash_secret(secret: str) -> str:
    """Return the sha256 of a secret in hex, which is stored instead of it."""
    return hashlib.sha256(secret.encode()).hexdigest()
