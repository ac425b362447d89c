"""Addresses by which people are known."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 254
# The pattern of the API's addresses: what can be invited can sign in.
_ADDRESS = re.compile(r"[A-Za-z0-9][-+._A-Za-z0-9]*@[-_.A-Za-z0-9]+\.[A-Za-z]{2,}")


def read_address(text: str) -> str | None:
    """Return the one form of an e-mail address in which it is stored and compared; None when it is none."""
    address = text.strip()
    if len(address) > LONGEST or not _ADDRESS.fullmatch(address):
        return None
    return address.lower()
