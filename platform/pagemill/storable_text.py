"""The one rule for text that is stored: Unicode without U+0000 and without lone surrogates.

Postgres keeps neither. Whatever comes from outside is judged by these functions before anything is done with
it: bodies, queries, paths and forms of requests, definitions and data of workflows, and mail.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

RULE: Final = "text must be Unicode, without the character U+0000 and without lone surrogates"


def is_storable(text: str) -> bool:
    """Return whether a text can be stored."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def has_nul(encoded: bytes) -> bool:
    """Return whether a text in JSON has the character U+0000. Lone surrogates are refused when it is read."""
    # Without its pairs of backslashes, a text of 8 MB is looked through in a tenth of a regex's time.
    return b"\\u0000" in encoded and b"\\u0000" in encoded.replace(rb"\\", b"")


def is_storable_query(query: bytes) -> bool:
    """Return whether all names and values of an encoded query or form can be stored."""
    if b"%" not in query and query.isascii():
        return b"\0" not in query
    try:
        return is_storable(unquote_to_bytes(query).decode())
    except UnicodeDecodeError:
        return False
