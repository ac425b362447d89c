"""How often an address may ask for tokens."""

from __future__ import annotations

import itertools

import pytest

from pagemill.api.auth import token_throttle
from pagemill.api.auth.token_throttle import BURST_SECONDS, CLIENTS_OF_ADDRESS, TokenThrottle
from pagemill.errors import TooManyRequests

RATE = 2.0
BURST = int(RATE * BURST_SECONDS)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(throttle: TokenThrottle, address: str, client_id: str) -> int:
    """Ask until it is too often; how often that was."""

    def is_admitted(_: int) -> bool:
        try:
            throttle.admit(address, client_id)
        except TooManyRequests:
            return False
        return True

    return sum(1 for _ in itertools.takewhile(is_admitted, itertools.count()))


def test_a_client_is_counted_with_its_address() -> None:
    clock = Clock()
    throttle = TokenThrottle(RATE, clock)
    assert refused(throttle, "198.51.100.7", "victim") == BURST
    throttle.admit("198.51.100.7", "other")
    throttle.admit("203.0.113.9", "victim")
    clock.now += 1.0
    assert refused(throttle, "198.51.100.7", "victim") == int(RATE)


def test_an_address_is_counted_whatever_clients_it_names() -> None:
    throttle = TokenThrottle(RATE, Clock())
    most = int(BURST * CLIENTS_OF_ADDRESS)
    for number in range(most):
        throttle.admit("2606:4700::1", f"client {number}")
    with pytest.raises(TooManyRequests):
        throttle.admit("2606:4700::2", "client")
    throttle.admit("2606:4701::1", "client")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_throttle, "BUCKETS_KEPT", 10)
    throttle = TokenThrottle(RATE, Clock())
    for number in range(100):
        throttle.admit(f"198.51.100.{number}", "client")
    assert len(throttle._clients._kept) == len(throttle._addresses._kept) == 10


def test_no_rate_is_no_limit() -> None:
    throttle = TokenThrottle(0, Clock())
    for _ in range(1000):
        throttle.admit("198.51.100.7", "client")
