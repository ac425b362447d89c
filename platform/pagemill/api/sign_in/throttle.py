"""Bounds of how often somebody may try to sign in, decided before a password is hashed or the database asked.

An account is counted together with the address, so that nobody locks a person out; by itself it allows ten
times as many tries, so that many addresses together guess no password either. So does an address by itself,
but for mail, which others get. Known and unknown accounts are counted alike. The counts are of one process,
as those of ``/token`` are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from pagemill.api.auth.token_throttle import Buckets
from pagemill.api.http.client_address import neighbourhood
from pagemill.errors import TooManyRequests

Act: TypeAlias = Literal["password", "code", "mail", "provider"]
PERIOD_SECONDS: Final = 600.0
TOGETHER: Final = 10
"""One address, or one account, may try so many times as often as one account from one address."""
LONGEST_ACCOUNT: Final = 256


class SignInThrottle:
    """Admission of tries; ``tries`` in ten minutes are for one account from one address, 0 for no limit."""

    def __init__(self, tries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limited = tries > 0
        rate = tries / PERIOD_SECONDS
        self._pairs = Buckets(rate, clock, most=tries)
        self._addresses = Buckets(rate * TOGETHER, clock, most=tries * TOGETHER)
        self._accounts = Buckets(rate * TOGETHER, clock, most=tries * TOGETHER)

    def admit(self, act: Act, address: str, account: str) -> None:
        """Count a try; one of no account counts for its address alone.

        Raises TooManyRequests with the seconds until the next one.
        """
        if not self._limited:
            return
        near, account = neighbourhood(address), account[:LONGEST_ACCOUNT]
        # What is mailed to others is bounded like the tries of one account.
        wait = (self._pairs if act == "mail" else self._addresses).take(f"{act} {near}")
        if account:
            wait = (
                wait or self._pairs.take(f"{act} {near} {account}") or self._accounts.take(f"{act} {account}")
            )
        if wait:
            raise TooManyRequests(retry_after_seconds=max(1, math.ceil(wait)))
