"""Batches: in order, bounded, and broken only for those who are in the broken one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pagemill.batching import Batcher, BatchFailed


class Work:
    """Doubles numbers once it may; an odd batch of one fails when told so."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may = asyncio.Event()
        self.failure: Exception | None = None
        self.at_once = self.most_at_once = 0

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.may.wait()
        self.at_once -= 1
        if self.failure is not None:
            raise self.failure
        return [2 * number for number in numbers]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_goes_alone_and_the_rest_together() -> None:
    work = Work()
    batcher = Batcher(work, max_size=3)
    first = asyncio.create_task(batcher.submit(0))
    await settled()
    rest = asyncio.gather(*(batcher.submit(number) for number in range(1, 6)))
    await settled()
    assert work.batches == [[0]]
    work.may.set()
    assert await first == 0
    assert await rest == [2, 4, 6, 8, 10]
    assert work.batches == [[0], [1, 2, 3], [4, 5]]


async def test_so_many_batches_at_once() -> None:
    work = Work()
    batcher = Batcher(work, max_size=2, concurrency=2)
    asked = asyncio.gather(*(batcher.submit(number) for number in range(7)))
    await settled()
    work.may.set()
    assert await asked == [2 * number for number in range(7)]
    assert work.most_at_once == 2


async def test_one_key_is_not_twice_in_a_batch() -> None:
    work = Work()
    work.may.set()
    batcher = Batcher(work, max_size=10, key=lambda number: number % 2)
    assert await asyncio.gather(*(batcher.submit(number) for number in (1, 3, 2, 5))) == [2, 6, 4, 10]
    assert work.batches == [[1, 2], [3], [5]]


async def test_a_failure_is_told_to_each_and_the_next_batch_works() -> None:
    work = Work()
    work.may.set()
    work.failure = ValueError("no")
    batcher = Batcher(work, max_size=10)
    answers = await asyncio.gather(*(batcher.submit(number) for number in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [BatchFailed] * 3
    assert len({id(answer) for answer in answers}) == 3
    assert all(isinstance(answer, BatchFailed) and answer.__cause__ is work.failure for answer in answers)
    work.failure = None
    assert await batcher.submit(4) == 8


async def test_what_nobody_waits_for_is_not_begun() -> None:
    work = Work()
    batcher = Batcher(work, max_size=10)
    first = asyncio.create_task(batcher.submit(0))
    await settled()
    gone, stays = asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2))
    await settled()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    work.may.set()
    assert [await first, await stays] == [0, 4]
    assert work.batches == [[0], [2]]


async def test_who_asks_as_soon_as_he_is_answered_is_answered_again() -> None:
    work = Work()
    work.may.set()
    batcher = Batcher(work, max_size=10)
    assert [await asyncio.wait_for(batcher.submit(number), 5.0) for number in range(5)] == [0, 2, 4, 6, 8]


async def test_a_group_is_in_one_batch_at_a_time_and_others_go_on() -> None:
    work = Work()
    batcher = Batcher(work, max_size=10, concurrency=2, group=lambda number: number % 2)
    first = asyncio.create_task(batcher.submit(1))
    await settled()
    rest = asyncio.gather(*(batcher.submit(number) for number in (3, 2, 5)))
    await settled()
    assert work.batches == [[1], [2]]
    work.may.set()
    assert [await first, await rest] == [2, [6, 4, 10]]
    assert work.batches == [[1], [2], [3, 5]]


async def test_batches_under_way_share_what_is_asked_unless_it_is_little() -> None:
    work = Work()
    batcher = Batcher(work, max_size=10, concurrency=2, share_above=3)
    asked = asyncio.gather(*(batcher.submit(number) for number in range(8)))
    await settled()
    assert work.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
    work.may.set()
    assert await asked == [2 * number for number in range(8)]
    assert await asyncio.gather(*(batcher.submit(number) for number in range(3))) == [0, 2, 4]
    assert work.batches[2:] == [[0, 1, 2]]


async def test_a_group_is_not_divided_for_its_share() -> None:
    work = Work()
    work.may.set()
    batcher = Batcher(work, max_size=10, concurrency=2, share_above=1, group=lambda number: number % 2)
    assert await asyncio.gather(*(batcher.submit(number) for number in (1, 3, 2, 5, 4))) == [2, 6, 4, 10, 8]
    assert work.batches == [[1, 3, 5], [2, 4]]


async def test_who_asks_for_much_is_answered_in_order_from_several_batches() -> None:
    work = Work()
    work.may.set()
    batcher = Batcher(work, max_size=2)
    assert await batcher.submit_all(range(5)) == [0, 2, 4, 6, 8]
    assert await batcher.submit_all([]) == []
    assert work.batches == [[0, 1], [2, 3], [4]]


async def test_who_asks_for_much_hears_that_one_batch_failed_and_the_rest_is_not_begun() -> None:
    work = Work()
    work.may.set()
    work.failure = ValueError("no")
    batcher = Batcher(work, max_size=2)
    with pytest.raises(BatchFailed, match="no"):
        await batcher.submit_all(range(5))
    assert work.batches == [[0, 1]]
