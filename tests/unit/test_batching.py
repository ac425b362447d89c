"""Batching: results are in order, batches are bounded, and a failure stays in its batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pagemill.batching import Batcher, BatchFailed


class Work:
    """Doubles numbers once ``may`` is set; raises ``failure`` instead when there is one."""

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


async def test_items_submitted_during_a_batch_share_the_next_one() -> None:
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


async def test_batches_in_progress_are_bounded() -> None:
    work = Work()
    batcher = Batcher(work, max_size=2, concurrency=2)
    asked = asyncio.gather(*(batcher.submit(number) for number in range(7)))
    await settled()
    work.may.set()
    assert await asked == [2 * number for number in range(7)]
    assert work.most_at_once == 2


async def test_items_with_one_key_never_share_a_batch() -> None:
    work = Work()
    work.may.set()
    batcher = Batcher(work, max_size=10, key=lambda number: number % 2)
    assert await asyncio.gather(*(batcher.submit(number) for number in (1, 3, 2, 5))) == [2, 6, 4, 10]
    assert work.batches == [[1, 2], [3], [5]]


async def test_each_caller_of_a_failed_batch_gets_its_own_exception() -> None:
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


async def test_items_of_cancelled_callers_are_not_processed() -> None:
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


async def test_an_item_submitted_right_after_a_result_is_processed() -> None:
    work = Work()
    work.may.set()
    batcher = Batcher(work, max_size=10)
    assert [await asyncio.wait_for(batcher.submit(number), 60) for number in range(5)] == [0, 2, 4, 6, 8]


async def test_a_group_is_in_one_batch_at_a_time_and_does_not_hold_up_others() -> None:
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


async def test_concurrent_batches_share_the_items_unless_there_are_few() -> None:
    work = Work()
    batcher = Batcher(work, max_size=10, concurrency=2, share_above=3)
    asked = asyncio.gather(*(batcher.submit(number) for number in range(8)))
    await settled()
    assert work.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
    work.may.set()
    assert await asked == [2 * number for number in range(8)]
    assert await asyncio.gather(*(batcher.submit(number) for number in range(3))) == [0, 2, 4]
    assert work.batches[2:] == [[0, 1, 2]]


async def test_a_group_is_not_divided_between_batches() -> None:
    work = Work()
    work.may.set()
    batcher = Batcher(work, max_size=10, concurrency=2, share_above=1, group=lambda number: number % 2)
    assert await asyncio.gather(*(batcher.submit(number) for number in (1, 3, 2, 5, 4))) == [2, 6, 4, 10, 8]
    assert work.batches == [[1, 3, 5], [2, 4]]


async def test_results_of_several_batches_are_in_the_order_of_the_items() -> None:
    work = Work()
    work.may.set()
    batcher = Batcher(work, max_size=2)
    assert await batcher.submit_all(range(5)) == [0, 2, 4, 6, 8]
    assert await batcher.submit_all([]) == []
    assert work.batches == [[0, 1], [2, 3], [4]]


async def test_a_failed_batch_fails_its_call_and_the_rest_is_not_processed() -> None:
    work = Work()
    work.may.set()
    work.failure = ValueError("no")
    batcher = Batcher(work, max_size=2)
    with pytest.raises(BatchFailed, match="no"):
        await batcher.submit_all(range(5))
    assert work.batches == [[0, 1]]
