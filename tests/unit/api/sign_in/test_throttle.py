"""Tries are bounded by account and address, by address, and by account."""

from __future__ import annotations

import pytest

from pagemill.api.sign_in.throttle import SignInThrottle
from pagemill.errors import TooManyRequests


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(
    throttle: SignInThrottle, tries: int, address: str = "192.0.2.1", account: str = "a@b.de"
) -> int:
    count = 0
    for _ in range(tries):
        try:
            throttle.admit("password", address, account)
        except TooManyRequests:
            continue
        count += 1
    return count


def test_an_account_from_an_address() -> None:
    clock = Clock()
    throttle = SignInThrottle(5, clock)
    assert admitted(throttle, 20) == 5
    with pytest.raises(TooManyRequests) as caught:
        throttle.admit("password", "192.0.2.1", "a@b.de")
    assert 0 < caught.value.retry_after_seconds <= 120
    clock.now += 120
    assert admitted(throttle, 20) == 1


def test_nobody_is_locked_out_by_somebody_elsewhere() -> None:
    throttle = SignInThrottle(5, Clock())
    admitted(throttle, 20)
    assert admitted(throttle, 1, address="192.0.2.2") == 1
    throttle.admit("code", "192.0.2.1", "a@b.de")


def test_many_accounts_from_an_address() -> None:
    throttle = SignInThrottle(5, Clock())
    assert sum(admitted(throttle, 1, account=f"{one}@b.de") for one in range(200)) == 50
    assert sum(admitted(throttle, 1, f"2001:db8::{one:x}", f"{one}@c.de") for one in range(200)) == 50


def test_mail_from_an_address_is_bounded_whoever_gets_it() -> None:
    throttle = SignInThrottle(5, Clock())
    for one in range(5):
        throttle.admit("mail", "192.0.2.1", f"{one}@b.de")
    with pytest.raises(TooManyRequests):
        throttle.admit("mail", "192.0.2.1", "6@b.de")
    throttle.admit("mail", "192.0.2.2", "6@b.de")


def test_an_account_from_many_addresses() -> None:
    throttle = SignInThrottle(5, Clock())
    assert sum(admitted(throttle, 1, address=f"192.0.{one}.1") for one in range(200)) == 50


def test_of_no_account_only_the_address_counts() -> None:
    throttle = SignInThrottle(5, Clock())
    assert admitted(throttle, 200, account="") == 50
    assert admitted(throttle, 200, address="192.0.2.2", account="") == 50


def test_without_a_limit() -> None:
    assert admitted(SignInThrottle(0, Clock()), 1000) == 1000
