"""Requests that are traced: a share of them, and what clients ask for within bounds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from pagemill.tracing.context import TraceContext
from pagemill.tracing.sampling import BURST_SECONDS, RequestSampler

ASKED = TraceContext("a" * 32, "b" * 16)
DECLINED = TraceContext("a" * 32, "b" * 16, sampled=False)


@dataclass
class Clock:
    now: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def sampler(self, share: float, client_rate: float) -> RequestSampler:
        return RequestSampler(
            share=share, client_rate=client_rate, clock=lambda: self.now, chance=self.chance.random
        )


def taken(sampler: RequestSampler, parent: TraceContext | None, number: int = 10_000) -> int:
    return sum(sampler.takes(parent) for _ in range(number))


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.1, 900, 1100), (1.0, 10_000, 10_000)])
def test_a_share_of_the_requests_is_traced(share: float, least: int, most: int) -> None:
    assert least <= taken(Clock().sampler(share, 1.0), None) <= most


def test_a_client_that_has_decided_against_it_is_followed() -> None:
    assert taken(Clock().sampler(1.0, 1.0), DECLINED) == 0


def test_clients_cannot_have_everything_traced() -> None:
    clock = Clock()
    sampler = clock.sampler(0.0, 2.0)
    burst = int(2 * BURST_SECONDS)
    assert taken(sampler, ASKED) == burst
    clock.now += 3.0
    assert taken(sampler, ASKED) == 6
    clock.now += 1_000_000.0
    assert taken(sampler, ASKED) == burst


def test_what_clients_ask_for_beyond_that_is_traced_as_all_other_requests() -> None:
    sampler = Clock().sampler(0.1, 1.0)
    assert 900 <= taken(sampler, ASKED) - BURST_SECONDS <= 1100


def test_clients_cannot_choose_an_id_that_is_always_traced() -> None:
    """A sampler that looks at the id takes those whose last digits are zero."""
    sampler = Clock().sampler(0.001, 0.0)
    chosen = TraceContext("a" * 16 + "0" * 15 + "1", "b" * 16)
    assert taken(sampler, chosen) < 50


def test_clients_ask_in_vain_where_their_rate_is_zero() -> None:
    assert taken(Clock().sampler(0.0, 0.0), ASKED) == 0


def test_a_small_rate_allows_one_at_a_time() -> None:
    clock = Clock()
    sampler = clock.sampler(0.0, 0.01)
    assert taken(sampler, ASKED) == 1
    clock.now += 99.0
    assert taken(sampler, ASKED) == 0
    clock.now += 2.0
    assert taken(sampler, ASKED) == 1
