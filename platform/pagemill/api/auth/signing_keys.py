"""The keys that sign and verify access tokens, as one API process knows them.

They are read from the database once in a while, and when a token names a key that is not known: another
process may have made it a moment ago. The process that notices that the newest key is old makes the next one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey

from db.pool import DATABASE_ERRORS, Pool, acquire
from db.signing_keys import SigningKeyRow, list_signing_keys
from pagemill.errors import Unavailable
from pagemill.housekeeping.signing_keys import (
    PUBLISHED_SECONDS,
    is_due,
    newest_of,
    open_private_key,
    rotate_signing_key,
)
from pagemill.secret_box import SecretBox
from pagemill.settings import Settings

REFRESH_SECONDS = 60.0
"""Longest time for which a process uses keys that another one has deleted, and does not know a new one."""
UNKNOWN_SECONDS = 5.0
"""Shortest time between two looks for unknown keys: whoever invents some costs the database nothing."""

logger = logging.getLogger("pagemill.api")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and the id by which tokens name it."""

    kid: str
    key: ECKey


class SigningKeys:
    """Keys of this process."""

    def __init__(self, pool: Pool, box: SecretBox, settings: Settings) -> None:
        self._pool, self._box, self._settings = pool, box, settings
        self._signing: SigningKey | None = None
        self._accepted: Mapping[str, ECKey] = {}
        self._public: list[dict[str, Any]] = []
        self._read_time = -REFRESH_SECONDS
        self._reading = asyncio.Lock()

    async def signing_key(self) -> SigningKey:
        """Return the key that signs.

        Raises the database's errors when keys were never read, and Unavailable when none can be opened.
        """
        await self.refresh()
        if self._signing is None:
            raise Unavailable("No key that signs tokens can be opened")
        return self._signing

    async def public_keys(self) -> list[dict[str, Any]]:
        """Return the keys with which tokens are verified, as JWK."""
        await self.refresh()
        return self._public

    async def look_for(self, kid: str) -> ECKey | None:
        """Return the key of this id; ask the database when it is not known, but not each time."""
        await self.refresh()
        if kid not in self._accepted:
            await self.refresh(age=UNKNOWN_SECONDS)
        return self._accepted.get(kid)

    def known(self, kid: str) -> ECKey | None:
        """Return the key of this id, as far as this process knows."""
        return self._accepted.get(kid)

    async def refresh(self, *, age: float = REFRESH_SECONDS) -> None:
        """Read the keys if that was longer ago than ``age`` seconds.

        While they are read, and while the database is away, those that were read before stay in use.
        """
        if time.monotonic() - self._read_time < age:
            return
        if self._accepted and self._reading.locked() and age >= REFRESH_SECONDS:
            return
        async with self._reading:
            if time.monotonic() - self._read_time < age:
                return
            try:
                self._use(await self._read())
            except DATABASE_ERRORS:
                if not self._accepted:
                    raise
                logger.warning("signing keys could not be read")
            self._read_time = time.monotonic()

    async def _read(self) -> Sequence[SigningKeyRow]:
        """Return all keys that are accepted; make a new one first when it is time."""
        async with acquire(self._pool) as connection:
            rows = await list_signing_keys(connection)
            if is_due(rows, self._box, lifetime=self._settings.signing_key_lifetime):
                kid = await rotate_signing_key(
                    connection,
                    self._box,
                    newest_of(rows),
                    token_lifetime=self._settings.token_lifetime,
                )
                logger.info("access tokens get a new signing key: %s", kid)
                rows = await list_signing_keys(connection)
            return rows

    def _use(self, rows: Sequence[SigningKeyRow]) -> None:
        public: Any = [row.public_key for row in rows]
        self._public = public
        self._accepted = {row.kid: ECKey.import_key(jwk) for row, jwk in zip(rows, public, strict=True)}
        self._signing = choose_signing_key(rows, self._box)


def choose_signing_key(rows: Sequence[SigningKeyRow], box: SecretBox) -> SigningKey | None:
    """Return the newest key that was published long enough; if there is none, the one published first.

    ``rows`` begin with the oldest. None when no key can be opened.
    """
    readable = [(row, key) for row in rows if (key := open_private_key(row, box)) is not None]
    if not readable:
        return None
    published = [one for one in readable if one[0].age >= PUBLISHED_SECONDS]
    row, key = published[-1] if published else readable[0]
    return SigningKey(row.kid, key)
