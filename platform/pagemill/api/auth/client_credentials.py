"""Credentials of app clients. A secret is random, so its hash alone is kept."""

from __future__ import annotations

import hashlib
import secrets
import uuid

SECRET_BYTES = 32


def new_client_id() -> str:
    """What an app client asks for tokens with; it says nothing about the app client's own id."""
    return uuid.uuid4().hex


def new_client_secret() -> str:
    return secrets.token_hex(SECRET_BYTES)


def hash_secret(secret: str) -> str:
    """What is kept of a secret: its sha256, hex."""
    return hashlib.sha256(secret.encode()).hexdigest()
