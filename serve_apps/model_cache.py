"""Cache of the models of one replica: bounded by bytes, the least recently used leaves first."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from copy import copy
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pagemill.applications.artefact_files import too_large
from pagemill.errors import ModelUnusable, PagemillError, Unavailable
from pagemill.tracing.spans import span

Model = TypeVar("Model")

FAILURE_SECONDS = 5.0
"""For so long a model that cannot be used is not loaded again: its requests must not hold up other loads."""
ROOM_SECONDS = 30.0
"""Longest wait for models in use to make room; then the request may be repeated elsewhere."""


class Sized(Protocol):
    """A model before it is loaded, with the bytes that it will take."""

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        ...


FetchedModel = TypeVar("FetchedModel", bound=Sized)


class CacheObserver(Protocol):
    """Observer of a cache: what it counts is shown to operators."""

    def requested(self, *, hit: bool) -> None:
        """Count a request; a hit has found its model loaded."""
        ...

    def loaded(self, key: str, *, size: int, seconds: float) -> None:
        """Count a load."""
        ...

    def failed(self, key: str, error: Exception) -> None:
        """Count a load that failed."""
        ...

    def evicted(self, key: str) -> None:
        """Count a model that left."""
        ...

    def holds(self, *, models: int, size: int) -> None:
        """Show what is held now."""
        ...


@dataclass(slots=True, eq=False)
class _Entry(Generic[Model]):
    loading: asyncio.Task[Model]
    users: int = 0
    size: int = 0
    since: float | None = None
    """Time of the end of its load; None before."""

    @property
    def is_idle(self) -> bool:
        return self.since is not None and not self.users


class ModelCache(Generic[FetchedModel, Model]):
    """Cache of models by key, for the tasks of one event loop.

    ``fetch`` brings a model near and says how large it is, ``build`` loads it, ``size_of`` says what it takes
    then. A model is loaded once, however many wait for it, ``loads_at_once`` models at a time; those that are
    loaded go on meanwhile. A model in use never leaves.
    """

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[FetchedModel]],
        build: Callable[[FetchedModel], Awaitable[Model]],
        size_of: Callable[[Model], int],
        *,
        maximum_bytes: int,
        loads_at_once: int,
        observer: CacheObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._build, self._size_of = fetch, build, size_of
        self._maximum_bytes = maximum_bytes
        self._turns = asyncio.Semaphore(loads_at_once)
        self._observer, self._clock = observer, clock
        self._entries: OrderedDict[str, _Entry[Model]] = OrderedDict()
        self._failures: dict[str, tuple[float, ModelUnusable]] = {}
        self._released = asyncio.Event()

    @contextlib.asynccontextmanager
    async def use(self, key: str) -> AsyncIterator[Model]:
        """Yield the model of a key, loaded if need be. Raises what its load raises, Unavailable."""
        self._raise_recent_failure(key)
        entry = self._entries.get(key)
        self._observer.requested(hit=entry is not None and entry.since is not None)
        if entry is None:
            entry = self._entries[key] = _Entry(asyncio.create_task(self._load(key), name=f"load {key}"))
            # Nobody may be left to ask for its error.
            entry.loading.add_done_callback(lambda loading: loading.cancelled() or loading.exception())
        self._entries.move_to_end(key)
        entry.users += 1
        try:
            # The load goes on for others when this caller goes.
            if entry.since is None:
                with span("load model"):
                    await asyncio.wait({entry.loading})
            yield _result(entry.loading)
        finally:
            entry.users -= 1
            self._released.set()

    def expire(self, age: float) -> None:
        """Let idle models go that were loaded more than ``age`` seconds ago."""
        for key, entry in list(self._entries.items()):
            if entry.is_idle and entry.since is not None and self._clock() - entry.since > age:
                self._remove(key)
        self._observer.holds(models=len(self._entries), size=self._held)

    @property
    def _held(self) -> int:
        return sum(entry.size for entry in self._entries.values())

    async def _load(self, key: str) -> Model:
        try:
            async with self._turns:
                begun = self._clock()
                fetched = await self._fetch(key)
                await self._make_room(key, fetched.size)
                model = await self._build(fetched)
        except BaseException as error:
            del self._entries[key]
            self._released.set()
            if isinstance(error, Exception):
                self._observer.failed(key, error)
            if isinstance(error, ModelUnusable):
                self._remember(key, error)
            raise
        entry = self._entries[key]
        entry.size, entry.since = self._size_of(model), self._clock()
        self._observer.loaded(key, size=entry.size, seconds=entry.since - begun)
        self._evict(0)
        return model

    async def _make_room(self, key: str, size: int) -> None:
        """Reserve the bytes of a model; wait while only models in use could leave."""
        if size > self._maximum_bytes:
            raise too_large(key, size, self._maximum_bytes)
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                while not self._evict(size):
                    self._released.clear()
                    await self._released.wait()
        except TimeoutError as error:
            raise Unavailable("The replica has no room for the training's weights", detail=key) from error
        self._entries[key].size = size

    def _evict(self, size: int) -> bool:
        """Let idle models go until there is room for so many bytes; return whether there is."""
        for key, entry in list(self._entries.items()):
            if self._held + size <= self._maximum_bytes:
                break
            if entry.is_idle:
                self._remove(key)
        self._observer.holds(models=len(self._entries), size=self._held)
        return self._held + size <= self._maximum_bytes

    def _remove(self, key: str) -> None:
        del self._entries[key]
        self._observer.evicted(key)

    def _remember(self, key: str, error: ModelUnusable) -> None:
        now = self._clock()
        self._failures = {key: found for key, found in self._failures.items() if found[0] > now}
        self._failures[key] = (now + FAILURE_SECONDS, error)

    def _raise_recent_failure(self, key: str) -> None:
        until, error = self._failures.get(key, (0.0, None))
        if error is not None and self._clock() < until:
            raise copy(error)


def _result(loading: asyncio.Task[Model]) -> Model:
    """Return the model. Raises an error of the caller's own: one that is raised twice grows each time."""
    error = loading.exception()
    if isinstance(error, PagemillError):
        raise copy(error)
    return loading.result()
