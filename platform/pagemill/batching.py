"""Working on things together: what is asked while others are under way goes into the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pagemill.concurrency import cancel_and_wait

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class BatchFailed(Exception):
    """The batch as a whole has no answers; ``__cause__`` says why. Each caller gets one of its own."""


class _Caller(Generic[Answer]):
    """Somebody who waits for answers, with one future for all: one for each costs more than the answers."""

    __slots__ = ("answers", "missing", "waiting")

    def __init__(self, number: int, waiting: asyncio.Future[None]) -> None:
        self.answers: list[Any] = [None] * number
        self.missing = number
        self.waiting = waiting


@dataclass(slots=True)
class _Asked(Generic[Item, Answer]):
    item: Item
    caller: _Caller[Answer]
    place: int

    @property
    def is_over(self) -> bool:
        return self.caller.waiting.done()

    def answer(self, answer: Answer) -> None:
        caller = self.caller
        caller.answers[self.place] = answer
        caller.missing -= 1
        if not caller.missing and not caller.waiting.done():
            caller.waiting.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.is_over:
            failed = BatchFailed(str(error))
            failed.__cause__ = error
            self.caller.waiting.set_exception(failed)


class Batches(Generic[Item, Answer]):
    """Belongs to one event loop, and holds only what has not been answered yet.

    ``work`` gives one answer for each item, in their order. At most ``at_once`` batches of ``at_most`` items
    are under way: the first item never waits, and the busier it gets the larger the batches. With
    ``at_least``, batches share what is asked, so that one is made while another one is waited for; so few
    items, or fewer, are not divided. Items with the same ``key`` are never in one batch; those with the same
    ``group`` never in two that are under way.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        at_most: int,
        at_once: int = 1,
        at_least: int | None = None,
        key: Callable[[Item], Hashable] = id,
        group: Callable[[Item], Hashable] = id,
    ) -> None:
        self._work, self._key, self._group = work, key, group
        self._at_most, self._at_once = at_most, at_once
        self._at_least = at_most if at_least is None else at_least
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: list[_Asked[Item, Answer]] = []
        self._working: set[asyncio.Task[None]] = set()
        self._groups: set[Hashable] = set()

    async def ask(self, item: Item) -> Answer:
        """The item's answer. Raises BatchFailed, with what ``work`` raised as its cause."""
        return (await self.ask_all([item]))[0]

    async def ask_all(self, items: Sequence[Item]) -> list[Answer]:
        """The answers of all items, in their order, or BatchFailed as soon as one has none."""
        if not items:
            return []
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # asks the system who this process is, each time
        caller: _Caller[Answer] = _Caller(len(items), self._loop.create_future())
        self._asked.extend(_Asked(item, caller, place) for place, item in enumerate(items))
        if len(self._working) < self._at_once:
            self._working.add(asyncio.create_task(self._work_off()))
        await caller.waiting
        return caller.answers

    async def close(self) -> None:
        """Break off what is under way; nobody may ask any more."""
        await cancel_and_wait(self._working)

    async def _work_off(self) -> None:
        try:
            while batch := self._next_batch():
                groups = {self._group(asked.item) for asked in batch}
                self._groups |= groups
                await self._work_together(batch)
                self._groups -= groups
        finally:
            # At once, not when the task is seen to be done: who asks in between starts another one.
            self._working.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _work_together(self, batch: Sequence[_Asked[Item, Answer]]) -> None:
        try:
            answers = await self._work([asked.item for asked in batch])
            answered = list(zip(batch, answers, strict=True))
        except Exception as error:  # noqa: BLE001 - told to every caller of the batch
            for asked in batch:
                asked.fail(error)
            return
        for asked, answer in answered:
            asked.answer(answer)

    def _next_batch(self) -> list[_Asked[Item, Answer]]:
        """The oldest of those that somebody still waits for, at most its share of all that is asked."""
        waiting = [asked for asked in self._asked if not asked.is_over]
        groups_asked = self._groups.union(self._group(asked.item) for asked in waiting)
        share = max(self._at_least, -(-len(groups_asked) // self._at_once))
        batch: list[_Asked[Item, Answer]] = []
        later: list[_Asked[Item, Answer]] = []
        keys: set[Hashable] = set()
        groups: set[Hashable] = set()
        for asked in waiting:
            key, group = self._key(asked.item), self._group(asked.item)
            if (
                len(batch) == self._at_most
                or key in keys
                or group in self._groups
                or (len(groups) == share and group not in groups)
            ):
                later.append(asked)
            else:
                keys.add(key)
                groups.add(group)
                batch.append(asked)
        self._asked = later
        return batch
