"""The cache of models: loaded once, bounded by bytes, never waiting for others."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from pagemill.errors import ModelDamaged, ModelTooLarge, PagemillError, Unavailable
from pagemill.objects import ObjectMissing
from serve_apps import model_cache
from serve_apps.model_cache import FAILURE_SECONDS, ModelCache

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sized:
    """A model of so many bytes."""

    name: str
    size: int


@dataclass(slots=True)
class World:
    """Source of models that records the calls of their cache."""

    sizes: dict[str, int]
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    loads: Counter[str] = field(default_factory=Counter)
    loading: int = 0
    most_loading: int = 0
    now: float = 0.0
    hits: int = 0
    misses: int = 0
    failures: list[str] = field(default_factory=list)
    evictions: list[str] = field(default_factory=list)
    size: int = 0

    async def fetch(self, key: str) -> Sized:
        self.loads[key] += 1
        self.loading += 1
        self.most_loading = max(self.most_loading, self.loading)
        try:
            if key in self.gates:
                await self.gates[key].wait()
            if key in self.errors:
                raise self.errors[key]
        finally:
            self.loading -= 1
        return Sized(key, self.sizes.get(key, 1))

    async def build(self, fetched: Sized) -> Sized:
        await asyncio.sleep(0)
        return fetched

    def requested(self, *, hit: bool) -> None:
        self.hits += hit
        self.misses += not hit

    def loaded(self, key: str, *, size: int, seconds: float) -> None:
        assert size == self.sizes.get(key, 1)
        assert seconds >= 0

    def failed(self, key: str, error: Exception) -> None:
        self.failures.append(f"{key}: {type(error).__name__}")

    def evicted(self, key: str) -> None:
        self.evictions.append(key)

    def holds(self, *, models: int, size: int) -> None:
        self.size = size

    def cache(self, *, maximum_bytes: int = 3, loads_at_once: int = 2) -> ModelCache[Sized, Sized]:
        return ModelCache(
            self.fetch,
            self.build,
            lambda model: model.size,
            maximum_bytes=maximum_bytes,
            loads_at_once=loads_at_once,
            observer=self,
            clock=lambda: self.now,
        )


async def use(cache: ModelCache[Sized, Sized], *keys: str) -> None:
    for key in keys:
        async with cache.use(key) as model:
            assert model.name == key


async def test_a_model_is_loaded_once_for_all_who_wait() -> None:
    world = World({}, gates={"a": asyncio.Event()})
    cache = world.cache()
    callers = [asyncio.create_task(use(cache, "a")) for _ in range(20)]
    await asyncio.sleep(0)
    world.gates["a"].set()
    await asyncio.wait_for(asyncio.gather(*callers), SECONDS)
    await use(cache, "a")
    assert (world.loads, world.misses, world.hits) == ({"a": 1}, 20, 1)


async def test_a_slow_load_holds_up_no_other_model() -> None:
    world = World({}, gates={"slow": asyncio.Event()})
    cache = world.cache()
    await use(cache, "loaded")
    slow = asyncio.create_task(use(cache, "slow"))
    await asyncio.sleep(0)
    await asyncio.wait_for(use(cache, "loaded", "other"), SECONDS)
    assert not slow.done()
    world.gates["slow"].set()
    await asyncio.wait_for(slow, SECONDS)


async def test_only_so_many_are_loaded_at_a_time() -> None:
    gate = asyncio.Event()
    names = [f"model {number}" for number in range(9)]
    world = World({}, gates=dict.fromkeys(names, gate))
    cache = world.cache(maximum_bytes=9, loads_at_once=3)
    callers = [asyncio.create_task(use(cache, name)) for name in names]
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.loading == 3
    gate.set()
    await asyncio.wait_for(asyncio.gather(*callers), SECONDS)
    assert (world.most_loading, len(world.loads)) == (3, 9)


async def test_the_least_recently_used_leaves() -> None:
    world = World({"large": 2})
    cache = world.cache(maximum_bytes=3)
    await use(cache, "a", "b", "c", "a", "large")
    assert world.evictions == ["b", "c"]
    assert world.size == 3
    await use(cache, "a", "large")
    assert world.loads == {"a": 1, "b": 1, "c": 1, "large": 1}


async def test_a_model_in_use_never_leaves_and_is_waited_for() -> None:
    world = World({"large": 3})
    cache = world.cache(maximum_bytes=3)
    async with cache.use("a"), cache.use("b"):
        waiting = asyncio.create_task(use(cache, "large"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        assert world.evictions == []
        await asyncio.wait_for(use(cache, "a"), SECONDS)
    await asyncio.wait_for(waiting, SECONDS)
    assert world.evictions == ["b", "a"]


async def test_a_replica_without_room_says_that_the_request_may_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_cache, "ROOM_SECONDS", 0.01)
    world = World({"large": 3})
    cache = world.cache(maximum_bytes=3)
    async with cache.use("a"):
        with pytest.raises(Unavailable):
            await use(cache, "large")
    await use(cache, "large")


async def test_a_model_that_is_larger_than_the_cache_is_named_and_harms_no_other() -> None:
    world = World({"huge": 4})
    cache = world.cache(maximum_bytes=3)
    await use(cache, "a")
    with pytest.raises(ModelTooLarge) as caught:
        await use(cache, "huge")
    assert "4 bytes, of at most 3" in str(caught.value.detail)
    await use(cache, "a")
    assert (world.loads["a"], world.failures, world.evictions) == (1, ["huge: ModelTooLarge"], [])


async def test_a_failed_load_fails_its_own_requests_for_a_moment() -> None:
    world = World({}, errors={"bad": ModelDamaged("damaged", detail="bad")})
    cache = world.cache()
    results = await asyncio.gather(*(use(cache, "bad") for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ModelDamaged] * 3
    assert len({id(result) for result in results}) == 3, "an error that is raised twice grows"
    await use(cache, "good")
    with pytest.raises(ModelDamaged):
        await use(cache, "bad")
    assert world.loads["bad"] == 1
    del world.errors["bad"]
    world.now += FAILURE_SECONDS
    await use(cache, "bad")
    assert (world.loads["bad"], world.failures) == (2, ["bad: ModelDamaged"])


@pytest.mark.parametrize("error", [Unavailable("away"), ObjectMissing("a key"), RuntimeError("a fault")])
async def test_what_may_go_away_is_tried_at_once(error: Exception) -> None:
    world = World({}, errors={"a": error})
    cache = world.cache()
    with pytest.raises(type(error)):
        await use(cache, "a")
    del world.errors["a"]
    await use(cache, "a")
    assert world.loads["a"] == 2


async def test_a_caller_that_goes_does_not_end_the_load() -> None:
    world = World({}, gates={"a": asyncio.Event()})
    cache = world.cache()
    caller = asyncio.create_task(use(cache, "a"))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    world.gates["a"].set()
    await asyncio.wait_for(use(cache, "a"), SECONDS)
    assert world.loads["a"] == 1


async def test_an_error_in_use_lets_the_model_go() -> None:
    world = World({"large": 3})
    cache = world.cache(maximum_bytes=3)
    with pytest.raises(PagemillError):
        async with cache.use("a"):
            raise PagemillError("in use")
    await asyncio.wait_for(use(cache, "large"), SECONDS)


async def test_what_is_old_and_idle_goes() -> None:
    world = World({})
    cache = world.cache()
    await use(cache, "old", "used")
    world.now = 100.0
    await use(cache, "young")
    async with cache.use("used"):
        cache.expire(age=50.0)
    assert (world.evictions, world.size) == (["old"], 2)
