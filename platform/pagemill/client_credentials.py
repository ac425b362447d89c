"""Credentials of app clients. Secrets are random, so a plain hash of them is stored."""

from __future__ import annotations

import hashlib
import hmac
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


def epoch_of(
    secret: str, *, secret_hash: str | None, previous_secret_hash: str | None, epoch: int
) -> int | None:
    """Return the epoch of tokens that are issued for a secret; None for a wrong one.

    ``epoch`` is that of the present secret; a former one that still works is of the epoch before.
    """
    given = hash_secret(secret)
    of_present = hmac.compare_digest(given, secret_hash or "")
    of_previous = hmac.compare_digest(given, previous_secret_hash or "")
    if of_present:
        return epoch
    return epoch - 1 if of_previous else None
