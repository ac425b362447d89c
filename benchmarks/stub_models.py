"""Prediction applications whose models are pretended: they sleep while they load and predict, and say sizes.

One has the product's cache and router, the other Serve's ``multiplexed`` with as many models.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from ray import serve
from ray.serve import Application

from serve_apps.model_cache import ModelCache
from serve_apps.model_router import router_configuration

MODELS = 200
REPLICAS = 4
HELD = 60
"""Models of mean size that a replica holds: all of them together a fifth more than there are."""
MEGABYTES = (20, 80)
LOAD_SECONDS = 0.05
PREDICT_SECONDS = 0.004
ONGOING = 32
SKEW = 1.0
"""Zipf's exponent: the first of 200 models gets 17 of 100 requests."""


class Served(NamedTuple):
    """Record of one request: its model, its replica, how long it took, and the replica's counts after it."""

    model: str
    replica: str
    seconds: float
    hits: int
    misses: int
    evictions: int


@dataclass(slots=True)
class Counts:
    """Counts of a replica; the observer of its cache."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0

    def requested(self, *, hit: bool) -> None:
        """Count a request."""
        self.hits += hit
        self.misses += not hit

    def loaded(self, key: str, *, size: int, seconds: float) -> None:
        """Do nothing."""

    def failed(self, key: str, error: Exception) -> None:
        """Do nothing: the request fails."""

    def evicted(self, key: str) -> None:
        """Count a model that left."""
        self.evictions += 1

    def holds(self, *, models: int, size: int) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class PretendedModel:
    """A model that is only its size."""

    size: int


class _Stub:
    """A replica that predicts one request at a time by sleeping."""

    def __init__(self) -> None:
        self._replica = serve.get_replica_context().replica_id.unique_id
        self._turn = asyncio.Lock()
        self._counts = Counts()

    async def _predict(self) -> None:
        async with self._turn:
            await asyncio.sleep(PREDICT_SECONDS)

    def _answer(self) -> tuple[str, int, int, int]:
        counts = self._counts
        return self._replica, counts.hits, counts.misses, counts.evictions


class CachedModels(_Stub):
    """A replica with the product's cache."""

    def __init__(self) -> None:
        super().__init__()
        self._models = ModelCache(
            _fetch,
            _build,
            lambda model: model.size,
            maximum_bytes=HELD * sum(MEGABYTES) // 2,
            loads_at_once=2,
            observer=self._counts,
        )

    async def predict(self) -> tuple[str, int, int, int]:
        """Return the replica and its counts."""
        async with self._models.use(serve.get_multiplexed_model_id()):
            await self._predict()
        return self._answer()


class MultiplexedModels(_Stub):
    """A replica with Serve's cache; a request that waits for another one's load is counted as a hit."""

    @serve.multiplexed(max_num_models_per_replica=HELD)  # type: ignore[untyped-decorator]
    async def load(self, key: str) -> PretendedModel:
        """Return the model of a key."""
        self._counts.misses += 1
        return await _build(await _fetch(key))

    async def predict(self) -> tuple[str, int, int, int]:
        """Return the replica and its counts."""
        before = self._counts.misses
        await self.load(serve.get_multiplexed_model_id())
        self._counts.hits += before == self._counts.misses
        await self._predict()
        return self._answer()


async def _fetch(key: str) -> PretendedModel:
    await asyncio.sleep(LOAD_SECONDS)
    return PretendedModel(size_of(key))


async def _build(model: PretendedModel) -> PretendedModel:
    return model


def size_of(key: str) -> int:
    """Return the pretended size of a model: the same in all processes."""
    smallest, largest = MEGABYTES
    return smallest + zlib.crc32(key.encode()) % (largest - smallest + 1)


def application(replica: type[_Stub], replicas: int = REPLICAS) -> Application:
    """Return an application of such replicas; with the product's router for the product's cache."""
    options: dict[str, Any] = {}
    if replica is CachedModels:
        options["request_router_config"] = router_configuration()
    deployment = serve.deployment(
        name=replica.__name__,
        num_replicas=replicas,
        max_ongoing_requests=ONGOING,
        ray_actor_options={"num_cpus": 0},
        logging_config={"enable_access_log": False},
        **options,
    )
    return deployment(replica).bind()


class Caller:
    """An actor in the place of a dispatcher: it has a handle of its own, and so many requests under way."""

    async def call(self, name: str, *, seed: int, requests: int, at_once: int) -> list[Served]:
        """Send requests for models that are drawn by Zipf; return what each of them saw. Raises any error."""
        handle = await asyncio.to_thread(serve.get_app_handle, name)
        drawn = iter(draw(seed, requests))
        served: list[Served] = []

        async def work() -> None:
            for model in drawn:
                begun = time.perf_counter()
                replica, *counts = await handle.options(multiplexed_model_id=model).predict.remote()
                served.append(Served(model, replica, time.perf_counter() - begun, *counts))

        await asyncio.gather(*(work() for _ in range(at_once)))
        return served


def draw(seed: int, requests: int) -> list[str]:
    """Return the models of so many requests, the first model the most often."""
    weights = itertools.accumulate((rank + 1) ** -SKEW for rank in range(MODELS))
    names = [f"organizations/o/trainings/{rank}/artefact/" for rank in range(MODELS)]
    return random.Random(seed).choices(names, cum_weights=list(weights), k=requests)
