"""Batches of work for one device, shared by all threads that ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Entry(Generic[Item, Result]):
    """An item that waits, or its result or error."""

    item: Item
    done: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    error: BaseException | None = None


class SharedBatches(Generic[Item, Result]):
    """Runs items of one kind together, whichever threads they come from, at most ``size`` in a batch.

    A thread that asks works itself: as soon as it gets a place it runs the batch that has waited longest,
    which may be another thread's. So no further thread is needed, and the order is that of asking.
    ``places`` bounds what runs on the device at a time.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        kind: Callable[[Item], Hashable],
        size: int,
        places: threading.Semaphore,
    ) -> None:
        self._run, self._kind, self._size, self._places = run, kind, size, places
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Hashable, deque[_Entry[Item, Result]]] = OrderedDict()

    def results(self, items: Sequence[Item]) -> list[Result]:
        """Return the items' results in their order. Raises what ``run`` raises for one of their batches."""
        entries = [_Entry[Item, Result](item) for item in items]
        with self._lock:
            for entry in entries:
                self._waiting.setdefault(self._kind(entry.item), deque()).append(entry)
        for entry in entries:
            while not entry.done.is_set():
                with self._places:
                    batch = [] if entry.done.is_set() else self._next_batch()
                    self._run_batch(batch)
                if not batch:
                    # Another thread has taken the entry, and is running it.
                    entry.done.wait()
        return [_result(entry) for entry in entries]

    def _next_batch(self) -> list[_Entry[Item, Result]]:
        with self._lock:
            if not self._waiting:
                return []
            kind, waiting = next(iter(self._waiting.items()))
            batch = [waiting.popleft() for _ in range(min(self._size, len(waiting)))]
            # Kinds take turns, so that a rare one does not wait until a common one is through.
            del self._waiting[kind]
            if waiting:
                self._waiting[kind] = waiting
            return batch

    def _run_batch(self, batch: Sequence[_Entry[Item, Result]]) -> None:
        if not batch:
            return
        try:
            results = self._run([entry.item for entry in batch])
            for entry, result in zip(batch, results, strict=True):
                entry.result = result
        except BaseException as error:  # noqa: BLE001 - raised in every thread that waits for the batch
            for entry in batch:
                entry.error = error
        finally:
            for entry in batch:
                entry.done.set()


def _result(entry: _Entry[Item, Result]) -> Result:
    if entry.error is not None:
        raise entry.error
    return cast("Result", entry.result)
