"""Tests of shared look-ups: their number, the freshness of answers, failures and cancellation."""

from __future__ import annotations

import asyncio

import pytest

from pagemill.api.auth.coalesced_lookups import CoalescedLookups


class Lookups:
    """Look-ups that end when they are told to, and answer with their number."""

    def __init__(self) -> None:
        self.shared: CoalescedLookups[int] = CoalescedLookups()
        self.begun: list[asyncio.Future[None]] = []

    async def look_up(self) -> int:
        self.begun.append(asyncio.get_running_loop().create_future())
        number = len(self.begun)
        await self.begun[-1]
        return number

    async def ask(self, key: str = "key") -> asyncio.Task[int]:
        """Asked, and got as far as it gets without an answer."""
        task = asyncio.create_task(self.shared.ask(key, self.look_up))
        await settle()
        return task

    async def end(self, number: int, error: Exception | None = None) -> None:
        if error is None:
            self.begun[number - 1].set_result(None)
        else:
            self.begun[number - 1].set_exception(error)
        await settle()


async def settle() -> None:
    """All that can go on without an answer has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_callers_during_a_look_up_share_the_next_one() -> None:
    lookups = Lookups()
    first = await lookups.ask()
    later = [await lookups.ask() for _ in range(5)]
    assert len(lookups.begun) == 1
    await lookups.end(1)
    assert len(lookups.begun) == 2
    latest = await lookups.ask()
    await lookups.end(2)
    await lookups.end(3)
    assert await first == 1
    assert {await task for task in later} == {2}
    assert await latest == 3


async def test_answers_are_not_cached() -> None:
    lookups = Lookups()
    for number in (1, 2):
        task = await lookups.ask()
        await lookups.end(number)
        assert await task == number


async def test_different_keys_do_not_wait_for_each_other() -> None:
    lookups = Lookups()
    tasks = [await lookups.ask(key) for key in "abc"]
    for number in (1, 2, 3):
        await lookups.end(number)
    assert [await task for task in tasks] == [1, 2, 3]


async def test_failure_is_raised_only_for_callers_who_share_it() -> None:
    lookups = Lookups()
    first = await lookups.ask()
    sharing = [await lookups.ask() for _ in range(3)]
    await lookups.end(1)
    later = await lookups.ask()
    await lookups.end(2, ConnectionResetError("away"))
    await lookups.end(3)
    assert await first == 1
    for task in sharing:
        with pytest.raises(ConnectionResetError, match="away"):
            await task
    assert await later == 3


async def test_cancelled_caller_leaves_the_others_their_answer() -> None:
    lookups = Lookups()
    first = await lookups.ask()
    second, third = await lookups.ask(), await lookups.ask()
    first.cancel()
    await settle()
    assert len(lookups.begun) == 2
    second.cancel()
    await settle()
    await lookups.end(3)
    assert await third == 3


async def test_turn_of_a_cancelled_caller_goes_to_the_next() -> None:
    lookups = Lookups()
    first = await lookups.ask()
    second, third = await lookups.ask(), await lookups.ask()
    lookups.begun[0].set_result(None)
    # One step: the first has given its turn away, and the second has not taken it yet.
    await asyncio.sleep(0)
    second.cancel()
    await settle()
    assert await first == 1
    assert len(lookups.begun) == 2
    await lookups.end(2)
    assert await third == 2
    assert second.cancelled()


async def test_caller_cancelled_while_waiting_gets_no_turn() -> None:
    lookups = Lookups()
    first = await lookups.ask()
    second, third = await lookups.ask(), await lookups.ask()
    second.cancel()
    await lookups.end(1)
    await lookups.end(2)
    assert await first == 1
    assert await third == 2
