"""One process spends the tokens that it took, and never more."""

from __future__ import annotations

import asyncio

import pytest

from pagemill.errors import TooManyRequests
from pagemill.usage.request_rate import KEPT_SECONDS, RequestRate, TakenTokens


class Bucket:
    """Bucket in memory that counts the calls."""

    def __init__(self, tokens: int, wait: float = 2.5) -> None:
        self.tokens, self.wait, self.asked, self.now = tokens, wait, 0, 100.0

    async def borrow(self, organization_id: str, most: int) -> TakenTokens:
        self.asked += 1
        await asyncio.sleep(0)
        given = min(most, self.tokens)
        self.tokens -= given
        return TakenTokens(given, 0.0 if given else self.wait)

    def rate(self, batch: int = 10) -> RequestRate:
        return RequestRate(self.borrow, batch=batch, clock=lambda: self.now)


async def admitted(rate: RequestRate, requests: int, organization_id: str = "a") -> int:
    answers = await asyncio.gather(
        *(rate.admit(organization_id) for _ in range(requests)), return_exceptions=True
    )
    assert all(answer is None or isinstance(answer, TooManyRequests) for answer in answers)
    return sum(answer is None for answer in answers)


async def test_a_batch_costs_one_round_trip() -> None:
    bucket = Bucket(100)
    assert await admitted(bucket.rate(), 10) == 10
    assert bucket.asked == 1


@pytest.mark.parametrize("batch", [1, 7, 50])
async def test_never_more_than_the_bucket_gave(batch: int) -> None:
    bucket = Bucket(40)
    assert await admitted(bucket.rate(batch), 200) == 40


async def test_an_empty_bucket_is_not_asked_again_before_its_time() -> None:
    bucket = Bucket(0)
    rate = bucket.rate()
    assert await admitted(rate, 50) == 0
    assert bucket.asked == 1
    with pytest.raises(TooManyRequests) as refused:
        await rate.admit("a")
    assert refused.value.retry_after_seconds == 3
    bucket.now += 2.6
    bucket.tokens = 5
    assert await admitted(rate, 5) == 5


async def test_old_tokens_are_not_spent() -> None:
    bucket = Bucket(20)
    rate = bucket.rate()
    await rate.admit("a")
    bucket.now += KEPT_SECONDS + 0.1
    await rate.admit("a")
    assert bucket.asked == 2


async def test_one_organization_does_not_spend_another_ones() -> None:
    bucket = Bucket(10)
    rate = bucket.rate()
    assert await admitted(rate, 10, "a") == 10
    assert await admitted(rate, 1, "b") == 0


async def test_a_bucket_that_fails_leaves_the_next_request_its_chance() -> None:
    bucket = Bucket(10)

    async def failing(organization_id: str, most: int) -> TakenTokens:
        bucket.asked += 1
        if bucket.asked == 1:
            raise OSError("away")
        return TakenTokens(most, 0.0)

    rate = RequestRate(failing, batch=3, clock=lambda: bucket.now)
    with pytest.raises(OSError):
        await rate.admit("a")
    await rate.admit("a")
