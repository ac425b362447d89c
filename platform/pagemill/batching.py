"""Batching: items that are submitted while earlier batches are processed share the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from pagemill.concurrency import cancel_and_wait
from pagemill.tracing.spans import Span, active_span, is_recording, link_batch, outside_of_trace

Item = TypeVar("Item")
Result = TypeVar("Result")


class BatchFailed(Exception):
    """A whole batch failed; ``__cause__`` is the reason. Each caller gets an exception of its own."""


class _Call(Generic[Result]):
    """One call of ``submit_all``: its results so far, and one future for all of them.

    One future per item would cost more than the results themselves.
    """

    __slots__ = ("missing", "results", "waiting")

    def __init__(self, size: int, waiting: asyncio.Future[None]) -> None:
        self.results: list[Result | None] = [None] * size
        self.missing = size
        self.waiting = waiting


@dataclass(slots=True)
class _Submitted(Generic[Item, Result]):
    """An item that has no result yet."""

    item: Item
    call: _Call[Result]
    index: int
    span: Span | None
    """Span of the caller that waits, if it is traced."""

    @property
    def is_over(self) -> bool:
        """Return whether nobody waits for the item any more."""
        return self.call.waiting.done()

    def complete(self, result: Result) -> None:
        """Store the result; wake the caller when it was the last one of its call."""
        call = self.call
        call.results[self.index] = result
        call.missing -= 1
        if not call.missing and not call.waiting.done():
            call.waiting.set_result(None)

    def fail(self, error: Exception) -> None:
        """Raise BatchFailed in the caller."""
        if not self.is_over:
            failed = BatchFailed(str(error))
            failed.__cause__ = error
            self.call.waiting.set_exception(failed)


class Batcher(Generic[Item, Result]):
    """Processes items in batches, for the tasks of one event loop.

    ``process`` takes a batch and returns one result for each item, in the same order. At most ``concurrency``
    batches of at most ``max_size`` items are processed at a time. A batch begins as soon as one may, so an
    item never waits for others, and batches grow with the load. With ``share_above``, more groups than that
    are divided between the batches, so that one batch is prepared while another one is waited for.

    Items with the same ``key`` never share a batch. Items with the same ``group`` are never processed in two
    batches at the same time.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_size: int,
        concurrency: int = 1,
        share_above: int | None = None,
        key: Callable[[Item], Hashable] = id,
        group: Callable[[Item], Hashable] = id,
    ) -> None:
        self._process, self._key, self._group = process, key, group
        self._max_size, self._concurrency = max_size, concurrency
        self._share_above = max_size if share_above is None else share_above
        self._loop: asyncio.AbstractEventLoop | None = None
        self._submitted: list[_Submitted[Item, Result]] = []
        self._workers: set[asyncio.Task[None]] = set()
        self._busy_groups: set[Hashable] = set()

    async def submit(self, item: Item) -> Result:
        """Return the item's result. Raises BatchFailed with the exception of ``process`` as its cause."""
        return (await self.submit_all([item]))[0]

    async def submit_all(self, items: Sequence[Item]) -> list[Result]:
        """Return the items' results in their order. Raises BatchFailed as soon as a batch with one fails."""
        if not items:
            return []
        if self._loop is None:
            # Kept: each look-up asks the system for the process's id.
            self._loop = asyncio.get_running_loop()
        call: _Call[Result] = _Call(len(items), self._loop.create_future())
        span = active_span()
        self._submitted.extend(_Submitted(item, call, index, span) for index, item in enumerate(items))
        if len(self._workers) < self._concurrency:
            # It serves others too.
            self._workers.add(asyncio.create_task(self._process_batches(), context=outside_of_trace()))
        await call.waiting
        return cast("list[Result]", call.results)

    async def close(self) -> None:
        """Cancel the batches in progress. Nothing may be submitted afterwards."""
        await cancel_and_wait(self._workers)

    async def _process_batches(self) -> None:
        try:
            while batch := self._next_batch():
                groups = {self._group(submitted.item) for submitted in batch}
                self._busy_groups |= groups
                await self._process_batch(batch)
                self._busy_groups -= groups
        finally:
            # Not by a callback of the task: an item submitted before it runs would find no worker.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _process_batch(self, batch: Sequence[_Submitted[Item, Result]]) -> None:
        if is_recording():
            link_batch([submitted.span for submitted in batch])
        try:
            results = await self._process([submitted.item for submitted in batch])
            completed = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001 - raised to every caller of the batch
            for submitted in batch:
                submitted.fail(error)
            return
        for submitted, result in completed:
            submitted.complete(result)

    def _next_batch(self) -> list[_Submitted[Item, Result]]:
        """Take the oldest items that may be processed now, at most a fair share of the groups."""
        waiting = [submitted for submitted in self._submitted if not submitted.is_over]
        all_groups = self._busy_groups.union(self._group(submitted.item) for submitted in waiting)
        max_groups = max(self._share_above, -(-len(all_groups) // self._concurrency))
        batch: list[_Submitted[Item, Result]] = []
        later: list[_Submitted[Item, Result]] = []
        keys: set[Hashable] = set()
        groups: set[Hashable] = set()
        for submitted in waiting:
            key, group = self._key(submitted.item), self._group(submitted.item)
            if (
                len(batch) == self._max_size
                or key in keys
                or group in self._busy_groups
                or (len(groups) == max_groups and group not in groups)
            ):
                later.append(submitted)
            else:
                keys.add(key)
                groups.add(group)
                batch.append(submitted)
        self._submitted = later
        return batch
