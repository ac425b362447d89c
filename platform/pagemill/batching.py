"""Working on things together: what is asked while others are under way goes into the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from pagemill.ending import end

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class BatchFailed(Exception):
    """The batch as a whole has no answers; ``__cause__`` says why. Each caller gets one of its own."""


@dataclass(slots=True)
class _Asked(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]


class Batches(Generic[Item, Answer]):
    """Belongs to one event loop, and holds only what has not been answered yet.

    ``work`` gives one answer for each item, in their order. At most ``at_once`` batches of ``at_most`` items
    are under way: the first item never waits, and the busier it gets the larger the batches. Items with the
    same ``key`` are never in one batch; those with the same ``group`` never in two that are under way.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        at_most: int,
        at_once: int = 1,
        key: Callable[[Item], Hashable] = id,
        group: Callable[[Item], Hashable] = id,
    ) -> None:
        self._work, self._key, self._group = work, key, group
        self._at_most, self._at_once = at_most, at_once
        self._asked: list[_Asked[Item, Answer]] = []
        self._working: set[asyncio.Task[None]] = set()
        self._groups: set[Hashable] = set()

    async def ask(self, item: Item) -> Answer:
        """The item's answer. Raises BatchFailed, with what ``work`` raised as its cause."""
        answer = self._enter(item)
        self._begin()
        return await answer

    async def ask_all(self, items: Iterable[Item]) -> list[Answer]:
        """The answers of all items, in their order."""
        answers = [self._enter(item) for item in items]
        self._begin()
        return await asyncio.gather(*answers)

    async def close(self) -> None:
        """Break off what is under way; nobody may ask any more."""
        await end(self._working)

    def _enter(self, item: Item) -> asyncio.Future[Answer]:
        asked: _Asked[Item, Answer] = _Asked(item, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        return asked.answer

    def _begin(self) -> None:
        if self._asked and len(self._working) < self._at_once:
            self._working.add(asyncio.create_task(self._work_off()))

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
                _fail(asked, error)
            return
        for asked, answer in answered:
            if not asked.answer.done():
                asked.answer.set_result(answer)

    def _next_batch(self) -> list[_Asked[Item, Answer]]:
        """The oldest of those that somebody still waits for."""
        batch: list[_Asked[Item, Answer]] = []
        later: list[_Asked[Item, Answer]] = []
        keys: set[Hashable] = set()
        for asked in self._asked:
            if asked.answer.done():
                continue
            key = self._key(asked.item)
            if len(batch) == self._at_most or key in keys or self._group(asked.item) in self._groups:
                later.append(asked)
            else:
                keys.add(key)
                batch.append(asked)
        self._asked = later
        return batch


def _fail(asked: _Asked[Item, Answer], error: Exception) -> None:
    if not asked.answer.done():
        failed = BatchFailed(str(error))
        failed.__cause__ = error
        asked.answer.set_exception(failed)
