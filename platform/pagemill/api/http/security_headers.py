"""Headers that every answer has for the browsers that read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

RawHeader: TypeAlias = tuple[bytes, bytes]

CACHE_CONTROL: Final = b"cache-control"
CONTENT_POLICY: Final = b"content-security-policy"
NO_STORE: Final = (CACHE_CONTROL, b"no-store")
"""Answers can hold secrets and other people's data. A handler that says something else is obeyed."""
NOTHING_ELSE: Final = (CONTENT_POLICY, b"default-src 'none'; frame-ancestors 'none'")
ALWAYS: Final[Sequence[RawHeader]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
YEAR: Final = 365 * 24 * 3600
STRICT_TRANSPORT: Final = (b"strict-transport-security", f"max-age={YEAR}".encode())


class SecurityHeaders:
    """The headers of one application; ``encrypted``: its clients reach it by https."""

    def __init__(self, *, encrypted: bool) -> None:
        self._always = [*ALWAYS, STRICT_TRANSPORT] if encrypted else list(ALWAYS)
        self._usual = [*self._always, NO_STORE, NOTHING_ELSE]

    def add_to(self, headers: Sequence[RawHeader]) -> list[RawHeader]:
        """Return the headers of an answer together with these."""
        for name, _ in headers:
            if name in (CACHE_CONTROL, CONTENT_POLICY):
                return self._add_missing(headers)
        return [*headers, *self._usual]

    def _add_missing(self, headers: Sequence[RawHeader]) -> list[RawHeader]:
        said = {name for name, _ in headers}
        return [*headers, *self._always, *(one for one in (NO_STORE, NOTHING_ELSE) if one[0] not in said)]
