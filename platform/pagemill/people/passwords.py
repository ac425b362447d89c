"""Hashing of passwords with argon2id, on a few threads of their own: no password holds up other requests.

Each takes 64 MiB and about a tenth of a second of a processor, so it is bounded how many are hashed at a
time, and how many wait. argon2 releases the GIL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pagemill.errors import QueueFull
from pagemill.people.password_rules import LONGEST, normalized

Result = TypeVar("Result")

WAITING: Final = 50
"""Passwords that wait to be hashed, in one process; more are refused with 503."""
HASHER: Final = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)
"""RFC 9106, 4: the second recommended option, on one thread. 16 random bytes are the salt."""


class PasswordHashing:
    """The threads of one process that hash passwords."""

    def __init__(self, *, concurrency: int, hasher: PasswordHasher = HASHER) -> None:
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="passwords")
        self._most = concurrency + WAITING
        self._begun = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of a password, with its salt and parameters. Raises QueueFull."""
        return await self._run(lambda: self._hasher.hash(normalized(password)))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Return whether a password is the one of a hash. Raises QueueFull.

        Without a hash it is false, after the same time: nobody learns from it who has an account.
        """
        return await self._run(lambda: self._verify(normalized(password)[:LONGEST], stored))

    def is_outdated(self, stored: str) -> bool:
        """Return whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """End the threads; what waits is not hashed any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, stored: str | None) -> bool:
        if stored is None:
            if self._nobodys is None:
                self._nobodys = self._hasher.hash("nobody's password")
            self._matches(password, self._nobodys)
            return False
        return self._matches(password, stored)

    def _matches(self, password: str, stored: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._begun >= self._most:
            raise QueueFull("Too many people sign in at this moment; try again later")
        self._begun += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._begun -= 1
