"""Texts that a browser keeps for the server and can neither read nor change: sealed and short-lived."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from typing import Any, Final

from pagemill.secret_box import NONCE_BYTES, Sealed, SecretBox, SecretUnreadable

PLACE: Final = "sign-in"
SEPARATOR: Final = "~"
LONGEST: Final = 8192


def seal_text(
    box: SecretBox, purpose: str, data: Mapping[str, Any], *, seconds: float, bound_to: str = ""
) -> str:
    """Return a text that is good for one purpose, for some seconds, and with what it is bound to."""
    sealed = box.seal(PLACE, f"{purpose}/{bound_to}", {"data": data, "expires": time.time() + seconds})
    encoded = base64.urlsafe_b64encode(sealed.nonce + sealed.ciphertext).decode().rstrip("=")
    return f"{sealed.key_id}{SEPARATOR}{encoded}"


def open_text(box: SecretBox, purpose: str, text: str | None, *, bound_to: str = "") -> dict[str, Any] | None:
    """Return the data of a sealed text; None when it was changed, is too old, or belongs elsewhere."""
    if not text or len(text) > LONGEST or not text.isascii():
        return None
    key_id, _, encoded = text.partition(SEPARATOR)
    try:
        raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        sealed = Sealed(key_id, raw[:NONCE_BYTES], raw[NONCE_BYTES:])
        opened = box.open(PLACE, f"{purpose}/{bound_to}", sealed)
    except (binascii.Error, SecretUnreadable, ValueError):
        return None
    data = opened["data"]
    return data if opened["expires"] > time.time() and isinstance(data, dict) else None
